package handler

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"kefud/internal/budget"
	"kefud/kefu"
	"kefud/wechat"
)

const (
	maxBody     = 256 << 10
	usualAnswer = 1 << 10
)

// forRoute is how much of the budget the router may use; the rest is for writing
// the answer down.
func forRoute(budget time.Duration) time.Duration {
	return budget - min(50*time.Millisecond, budget/10)
}

// verify answers WeChat's question whether this URL is ours.
func (h *handler) verify(c *gin.Context) {
	app := kefu.AppID(c.Param("app"))
	codec := h.Codec(app)
	if codec == nil {
		h.refuse(c, unknownApp, refusedApp)
		return
	}
	q := query(c.Request.URL.RawQuery)
	if err := codec.VerifyURL(q); err != nil {
		h.refuse(c, app, reasonOf(err))
		return
	}
	// The echo is the caller's text; no browser shall take it for a page.
	c.Header("X-Content-Type-Options", "nosniff")
	h.metrics.callbacks.WithLabelValues(string(app), "verify", "echo").Inc()
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(q.Echo))
}

// A call is a push and the time that it has, in one piece of memory, for there is one for
// every push. Whoever keeps the context keeps the push: the client library does until its
// place in a queue is used again.
type call struct {
	push   wechat.Push
	within budget.Budget
}

// callback answers a push.
func (h *handler) callback(c *gin.Context) {
	start := h.Now()
	app := kefu.AppID(c.Param("app"))
	codec := h.Codec(app)
	if codec == nil {
		h.refuse(c, unknownApp, refusedApp)
		return
	}
	if !h.fromWeChat(c) {
		h.refuse(c, app, refusedAddress)
		return
	}
	var x call
	if err := h.open(c, codec, start, &x.push); err != nil {
		h.refuse(c, app, reasonOf(err))
		return
	}
	// WeChat hanging up must not undo half a decision, so its going away is not ours.
	ctx := x.within.Start(c.Request.Context(), start.Add(forRoute(h.Budget)))
	defer ctx.Cancel()
	decision := h.Router.Route(ctx, &x.push.Message)
	answer := takeBuffer()
	defer putBack(answer) // it is written by then
	answer.Grow(usualAnswer)
	body, contentType := seal(answer.AvailableBuffer(), codec, &x.push, &decision)
	h.part(c) // the end may have begun meanwhile
	write(c, contentType, body)
	h.observe(&x.push.Message, &decision, start, h.Now())
}

// fromWeChat reports whether a request comes from where WeChat pushes from. That
// is the address that the trusted proxies tell, not theirs. The question whether
// the URL is ours may come from anywhere: its answer gives nothing away.
func (h *handler) fromWeChat(c *gin.Context) bool {
	if h.Allows == nil {
		return true
	}
	address, err := netip.ParseAddr(c.ClientIP())
	return err == nil && h.Allows(address)
}

var errTooLarge = errors.New("body over 256 KiB")

// open reads the body only after the query's signature holds.
func (h *handler) open(c *gin.Context, codec *wechat.Codec, now time.Time, into *wechat.Push) error {
	signed, err := codec.Verify(query(c.Request.URL.RawQuery), now)
	if err != nil {
		return err
	}
	body := takeBuffer()
	defer putBack(body) // what is opened keeps nothing of it
	if err := h.read(c, body, maxBody); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return errTooLarge
		}
		return wechat.ErrUnreadable
	}
	return signed.Open(body.Bytes(), into)
}

// seal writes the answer down behind b. If that cannot be done as decided, it is done
// plainly, and at the very last "success": never an error.
func seal(b []byte, codec *wechat.Codec, push *wechat.Push, d *kefu.Decision) ([]byte, string) {
	body, contentType, err := codec.Seal(b, push, d)
	if err == nil {
		return body, contentType
	}
	d.Degraded, d.Cause, d.Err = true, kefu.CausePanic, err
	return []byte("success"), "text/plain; charset=utf-8"
}
