package handler

import (
	"errors"
	"net/http"
	"sync"
	"time"

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

// A refusal is one kind of request that is not WeChat's. There are as many as
// apps and statuses.
type refusal struct {
	app    kefu.AppID
	status int
}

// A reminder says when something that goes on is to be logged again. The zero
// reminder is ready.
type reminder struct {
	mu   sync.Mutex
	seen map[refusal]*reminded
}

type reminded struct {
	logged time.Time
	missed int // times since then
}

// due reports whether to log now, and how often it was kept quiet before.
func (r *reminder) due(what refusal, now time.Time) (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen[what]
	if seen == nil {
		if r.seen == nil {
			r.seen = make(map[refusal]*reminded)
		}
		r.seen[what] = &reminded{logged: now}
		return 0, true
	}
	if now.Sub(seen.logged) < remindEvery {
		seen.missed++
		return 0, false
	}
	missed := seen.missed
	seen.logged, seen.missed = now, 0
	return missed, true
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
	if missed, due := h.refused.due(refusal{app, status}, h.Now()); due {
		h.Logger.Warn().Str(keyApp, string(app)).Int(keyStatus, status).Int(keyMissed, missed).Msg("callback refused")
	}
	c.String(status, refusals[status])
}
