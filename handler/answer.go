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

// A why is a reason for which a request is no push of WeChat's: what it is
// answered with, and what it counts as.
type why struct {
	status  int
	outcome string // in metrics
	text    string
}

var (
	refusedApp       = &why{http.StatusNotFound, "Not Found", "no such app"}
	refusedAddress   = &why{http.StatusForbidden, "address", "address refused"}
	refusedSignature = &why{http.StatusForbidden, "Forbidden", "signature refused"}
	refusedSize      = &why{http.StatusRequestEntityTooLarge, "Request Entity Too Large", "body too large"}
	refusedToken     = &why{http.StatusUnauthorized, "Unauthorized", "token refused"}
	refusedBody      = &why{http.StatusBadRequest, "Bad Request", "body unreadable"}
)

// reasonOf is the one map from errors to HTTP.
func reasonOf(err error) *why {
	switch {
	case errors.Is(err, errTooLarge):
		return refusedSize
	case errors.Is(err, wechat.ErrSignature), errors.Is(err, wechat.ErrStale):
		return refusedSignature
	}
	return refusedBody
}

// A refusal is one kind of request that is not let in. There are as many as apps
// and reasons.
type refusal struct {
	app kefu.AppID
	why *why
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

// refuse answers a request that is no push of WeChat's. It tells nothing that
// would help to forge one.
func (h *handler) refuse(c *gin.Context, app kefu.AppID, w *why) {
	h.metrics.callbacks.WithLabelValues(string(app), "none", w.outcome).Inc()
	if missed, due := h.refused.due(refusal{app, w}, h.Now()); due {
		h.Logger.Warn().Str(keyApp, string(app)).Int(keyStatus, w.status).Str(keyReason, w.text).Int(keyMissed, missed).Msg("callback refused")
	}
	closeUnread(c)
	c.String(w.status, w.text)
}
