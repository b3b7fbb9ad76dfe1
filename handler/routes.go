package handler

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	callbackPath = "/wechat/:app"
	adminPath    = "/api/v1"
)

// The whole route table: probes at every address, publicRoutes for WeChat and
// mini-programs, adminRoutes at the same address or at one of their own.

func (h *handler) probes(e *gin.Engine) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Handle(method, "/healthz", h.health)
		e.Handle(method, "/readyz", h.ready)
	}
	h.nothingElse(e)
}

func (h *handler) publicRoutes(e *gin.Engine) {
	e.GET(callbackPath, h.verify)
	e.POST(callbackPath, h.callback)
	e.POST("/api/getCustomerServiceUrl", h.link)
}

func (h *handler) adminRoutes(e *gin.Engine) {
	e.GET("/metrics", gin.WrapH(promhttp.HandlerFor(h.Gatherer, promhttp.HandlerOpts{})))

	admin := e.Group(adminPath, h.authorize)
	admin.GET("/apps/:app/customers/:customer/decisions", h.decisions)

	archived := requires("relay", h.Archive != nil)
	admin.GET("/apps/:app/customers/:customer/transcript", archived, h.transcript)
	admin.DELETE("/apps/:app/customers/:customer", archived, h.forget)

	staffed := requires("relay", h.Office != nil && h.Table != nil && h.NewCode != nil)
	admin.GET("/agents", staffed, h.agents)
	admin.POST("/agents/:agent/invitation", staffed, h.invite)
	admin.DELETE("/agents/:agent/chat", staffed, h.unbind)

	owing := requires("outbox", h.Outbox != nil)
	admin.GET("/outbox", owing, h.owed)
	admin.POST("/outbox/:id/retry", owing, h.retry)

	// What is not there is as closed to strangers as what is.
	h.nothingElse(e, h.authorizeAdmin)
}

// nothingElse answers what no route does, unless one of first has.
func (h *handler) nothingElse(e *gin.Engine, first ...gin.HandlerFunc) {
	e.NoRoute(append(slices.Clone(first), func(c *gin.Context) { problem(c, http.StatusNotFound, "there is nothing at this path") })...)
	e.NoMethod(append(slices.Clone(first), func(c *gin.Context) { problem(c, http.StatusMethodNotAllowed, "this path does not take this method") })...)
}
