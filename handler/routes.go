package handler

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	callbackPath = "/wechat/:app"
	adminPath    = "/api/v1"
)

// routes is the whole route table.
func (h *handler) routes(e *gin.Engine) {
	e.GET(callbackPath, h.verify)
	e.POST(callbackPath, h.callback)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Handle(method, "/healthz", h.health)
		e.Handle(method, "/readyz", h.ready)
	}
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(h.Gatherer, promhttp.HandlerOpts{})))
	e.POST("/api/getCustomerServiceUrl", h.link)

	admin := e.Group(adminPath, h.authorize)
	admin.GET("/apps/:app/customers/:customer/decisions", h.decisions)

	archived := requires(h.Archive != nil)
	admin.GET("/apps/:app/customers/:customer/transcript", archived, h.transcript)
	admin.DELETE("/apps/:app/customers/:customer", archived, h.forget)

	staffed := requires(h.Office != nil && h.Table != nil && h.NewCode != nil)
	admin.GET("/agents", staffed, h.agents)
	admin.POST("/agents/:agent/invitation", staffed, h.invite)
	admin.DELETE("/agents/:agent/chat", staffed, h.unbind)

	// What is not there is as closed to strangers as what is.
	e.NoRoute(h.authorizeAdmin, func(c *gin.Context) { problem(c, http.StatusNotFound, "there is nothing at this path") })
	e.NoMethod(h.authorizeAdmin, func(c *gin.Context) { problem(c, http.StatusMethodNotAllowed, "this path does not take this method") })
}
