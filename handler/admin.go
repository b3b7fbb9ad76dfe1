package handler

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"kefud/kefu"
)

// problem answers with an RFC 9457 problem.
func problem(c *gin.Context, status int, detail string) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, gin.H{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}

// authorize lets in who knows the token.
func (h *handler) authorize(c *gin.Context) {
	c.Header("Cache-Control", "no-store") // codes and what customers wrote are for nobody else
	want := h.Token()
	if want == "" {
		problem(c, http.StatusForbidden, "administration is closed: admin.token is not set in the configuration")
		return
	}
	scheme, got, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		h.strange(c)
		c.Header("WWW-Authenticate", "Bearer")
		problem(c, http.StatusUnauthorized, "send the configuration's admin.token: Authorization: Bearer TOKEN")
		return
	}
	c.Next()
}

// strange counts and logs somebody who tries tokens. He is not slowed down: that
// would keep out those who know the token, too.
func (h *handler) strange(c *gin.Context) {
	h.metrics.strangers.Inc()
	if missed, due := h.refused.due(refusal{why: refusedToken}, h.Now()); due {
		h.Logger.Warn().Str(keyFrom, c.ClientIP()).Int(keyMissed, missed).Msg("administration refused: wrong or no token")
	}
}

// authorizeAdmin is authorize for paths that no route has.
func (h *handler) authorizeAdmin(c *gin.Context) {
	if path := c.Request.URL.Path; path == adminPath || strings.HasPrefix(path, adminPath+"/") {
		h.authorize(c)
	}
}

// History is a customer's decisions as /api/v1 gives them and `kefud explain`
// reads them.
type History struct {
	App       string        `json:"app"`
	Customer  string        `json:"customer"` // shortened
	Entry     string        `json:"entry"`
	Owner     string        `json:"owner,omitempty"`
	Borrowed  int           `json:"borrowed,omitempty"`
	Serving   string        `json:"serving,omitempty"`
	LastPush  time.Time     `json:"last_push"`
	Decisions []kefu.Record `json:"decisions"` // the newest first
}

// NewHistory puts a history into its outward form.
func NewHistory(c kefu.CustomerID, h kefu.History) History {
	return History{
		App: string(c.App), Customer: kefu.Shorten(c.User),
		Entry: string(h.Conversation.Entry), Owner: string(h.Conversation.Owner), Borrowed: h.Conversation.Borrowed,
		Serving: string(h.Conversation.Serving), LastPush: h.LastPush, Decisions: h.Records,
	}
}

// customer gives the customer whom the path names, or answers that there is no
// such app.
func (h *handler) customer(c *gin.Context) (kefu.CustomerID, bool) {
	id := kefu.CustomerID{App: kefu.AppID(c.Param("app")), User: c.Param("customer")}
	if h.Codec(id.App) == nil {
		problem(c, http.StatusNotFound, "no such app in the configuration")
		return kefu.CustomerID{}, false
	}
	return id, true
}

// unavailable answers that the store failed. what is a constant text.
func (h *handler) unavailable(c *gin.Context, err error, what string) {
	h.Logger.Warn().Err(err).Msg(what)
	problem(c, http.StatusServiceUnavailable, "the store does not answer; try again")
}

// requires refuses what this server was built without.
func requires(what string, there bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !there {
			problem(c, http.StatusNotImplemented, "this server has no "+what)
		}
	}
}

func (h *handler) decisions(c *gin.Context) {
	id, ok := h.customer(c)
	if !ok {
		return
	}
	found, err := h.Historian.History(c.Request.Context(), id)
	if err != nil {
		h.unavailable(c, err, "history not read")
		return
	}
	if !found.Found {
		problem(c, http.StatusNotFound, "nothing is known of this customer: he has not written, or too long ago")
		return
	}
	c.JSON(http.StatusOK, NewHistory(id, found))
}
