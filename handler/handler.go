// Package handler is everything HTTP: WeChat's callbacks, the probes, metrics,
// the mini-program's question for a link, and administration. It moves bytes
// between the wire and the packages that know; it decides nothing.
package handler

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
	"kefud/wechat"
)

// A Router answers pushes. It always answers, at the latest soon after ctx ends, and keeps
// no hold of the message, nor changes it.
type Router interface {
	Route(ctx context.Context, m *kefu.Message) kefu.Decision
}

// A Historian tells what was decided for a customer.
type Historian interface {
	History(ctx context.Context, c kefu.CustomerID) (kefu.History, error)
}

// Options are the handler's parts. Now, Outbox and those of the relay may be left
// out, the others not.
type Options struct {
	Codec     func(kefu.AppID) *wechat.Codec             // nil = no such app
	Link      func(tag string) (link string, found bool) // what a mini-program is told to open for an entry
	Router    Router
	Historian Historian
	Ready     func() Readiness
	Stopping  func() bool   // the server is about to end; nil = never
	Token     func() string // bearer token of /api/v1; "" = /api/v1 is closed
	Budget    time.Duration // a callback is answered within this
	// AdminApart leaves /metrics and /api/v1 to the handler that Admin gives.
	AdminApart bool
	// Allows tells whether WeChat pushes from an address; nil = from everywhere.
	Allows func(netip.Addr) bool
	// TrustedProxies are the addresses and networks whose X-Forwarded-For is
	// believed; none by default.
	TrustedProxies []string
	Outbox         Outbox // nil = its routes answer 501
	// The relay's: without them its routes answer 501.
	Office     Office
	Archive    Archive
	Table      func() *kefu.Table
	NewCode    func() string // of an invitation
	Logger     zerolog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Now        func() time.Time // nil = time.Now
}

type handler struct {
	Options
	metrics  *metrics
	degraded degradation
	refused  reminder
}

// A Handler answers all requests, or all but those of administration.
type Handler struct {
	http.Handler
	admin http.Handler
}

// Admin answers what an address of administration's own is for: /metrics,
// /api/v1 and the probes.
func (h *Handler) Admin() http.Handler { return h.admin }

// New makes the HTTP side. It returns an error if a trusted proxy is neither an
// address nor a network.
func New(o Options) (*Handler, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{Options: o, metrics: newMetrics(o.Registerer)}
	h.degraded.log = o.Logger
	gin.SetMode(gin.ReleaseMode) // gin prints its routes to stdout otherwise
	everybody, err := h.engine(h.publicRoutes)
	if err != nil {
		return nil, err
	}
	operators, err := h.engine(h.adminRoutes)
	if err != nil {
		return nil, err
	}
	if !o.AdminApart {
		h.adminRoutes(everybody)
	}
	return &Handler{Handler: everybody, admin: operators}, nil
}

// engine makes what answers some routes, and the probes.
func (h *handler) engine(routes func(*gin.Engine)) (*gin.Engine, error) {
	e := gin.New()
	if err := e.SetTrustedProxies(h.TrustedProxies); err != nil {
		return nil, err
	}
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.Use(leaveUnread, h.recoverPanic, h.part)
	h.probes(e)
	routes(e)
	return e, nil
}

// The server's limits. WeChat hangs up after 5 s, and its pushes are small.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 5 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// NewServer makes an HTTP server for addr with every timeout set.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
}
