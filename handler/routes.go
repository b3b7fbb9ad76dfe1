package handler

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const callbackPath = "/wechat/:app"

// routes is the whole route table.
func (h *handler) routes(e *gin.Engine) {
	e.GET(callbackPath, h.verify)
	e.POST(callbackPath, h.callback)
	e.GET("/healthz", h.health)
	e.GET("/readyz", h.ready)
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(h.Gatherer, promhttp.HandlerOpts{})))
	e.POST("/api/getCustomerServiceUrl", h.link)

	admin := e.Group("/api/v1", h.authorize)
	admin.GET("/apps/:app/customers/:customer/decisions", h.decisions)

	e.NoRoute(func(c *gin.Context) { problem(c, http.StatusNotFound, "there is nothing at this path") })
	e.NoMethod(func(c *gin.Context) { problem(c, http.StatusMethodNotAllowed, "this path does not take this method") })
}
