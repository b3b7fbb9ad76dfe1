package handler

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"kefud/kefu"
	"kefud/wechat"
)

// unknownApp labels requests for apps that do not exist, whose names the caller
// could choose at will.
const unknownApp kefu.AppID = "unknown"

// statusOf is the one map from errors to HTTP.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, wechat.ErrSignature), errors.Is(err, wechat.ErrStale):
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

var refusals = map[int]string{
	http.StatusNotFound:              "no such app",
	http.StatusForbidden:             "signature refused",
	http.StatusBadRequest:            "body unreadable",
	http.StatusRequestEntityTooLarge: "body too large",
}

// refuse answers a request that is no push of WeChat's. It tells nothing that
// would help to forge one.
func (h *handler) refuse(c *gin.Context, app kefu.AppID, status int) {
	h.metrics.callbacks.WithLabelValues(string(app), "none", http.StatusText(status)).Inc()
	h.Logger.Debug().Str(keyApp, string(app)).Int(keyStatus, status).Msg("callback refused")
	c.String(status, refusals[status])
}
