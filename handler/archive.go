package handler

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"kefud/kefu"
)

// An Archive keeps relayed messages, and all else that is known of customers.
type Archive interface {
	// Transcript gives the messages in their order; none is no error.
	Transcript(ctx context.Context, c kefu.CustomerID) ([]kefu.Saying, error)
	// Forget deletes everything kept of the customer.
	Forget(ctx context.Context, c kefu.CustomerID) error
}

// Transcript is a customer's relayed messages, as /api/v1 gives them and `kefud
// export` reads them.
type Transcript struct {
	App      kefu.AppID    `json:"app"`
	Customer string        `json:"customer"` // shortened
	Messages []kefu.Saying `json:"messages"` // the oldest first
}

func (h *handler) transcript(c *gin.Context) {
	id, ok := h.customer(c)
	if !ok {
		return
	}
	said, err := h.Archive.Transcript(c.Request.Context(), id)
	if err != nil {
		h.unavailable(c, err, "transcript not read")
		return
	}
	if len(said) == 0 {
		problem(c, http.StatusNotFound, "no message of this customer is kept")
		return
	}
	c.JSON(http.StatusOK, Transcript{App: id.App, Customer: kefu.Shorten(id.User), Messages: said})
}

func (h *handler) forget(c *gin.Context) {
	id, ok := h.customer(c)
	if !ok {
		return
	}
	if err := h.Archive.Forget(c.Request.Context(), id); err != nil {
		h.unavailable(c, err, "customer not forgotten")
		return
	}
	c.Status(http.StatusNoContent)
}
