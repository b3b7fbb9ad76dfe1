package handler

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// A Component is one part behind the server, as /readyz shows it.
type Component struct {
	State string    `json:"state"` // ok, degraded, starting, off
	Since time.Time `json:"-"`     // of the state, or of the knowledge; zero = never
	Age   *float64  `json:"age_seconds,omitempty"`
	Error string    `json:"error,omitempty"`
}

// Readiness is whether the server should get traffic, and why.
//
// A broken component does not make the server unready: it answers every
// customer with the plain transfer then, and taking all replicas out of service
// would leave customers with nobody.
type Readiness struct {
	Ready      bool
	Status     string // ready, degraded, starting, stopping
	Components map[string]Component
}

func (h *handler) health(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) }

func (h *handler) ready(c *gin.Context) {
	r, now := h.Ready(), h.Now()
	for name, part := range r.Components {
		if !part.Since.IsZero() {
			age := now.Sub(part.Since).Seconds()
			part.Age = &age
			r.Components[name] = part
		}
	}
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	c.JSON(status, gin.H{"status": r.Status, "components": r.Components})
}

// part ends the connection with the answer when the server is about to end: whoever
// keeps connections open then comes back by a new one, to where he is still served.
func (h *handler) part(c *gin.Context) {
	if h.Stopping != nil && h.Stopping() {
		c.Header("Connection", "close")
	}
}
