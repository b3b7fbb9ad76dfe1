package handler

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"kefud/kefu"
)

// An Outbox knows what is owed and what was given up.
type Outbox interface {
	Owed(ctx context.Context, q kefu.OwedQuery) (kefu.OwedPage, error)
	// Retry puts a buried delivery back into its lane, by Owed.ID.
	Retry(ctx context.Context, id string) (kefu.Revival, error)
}

// How many deliveries GET /api/v1/outbox lists at once.
const (
	OwedDefault = 100
	OwedMost    = 500
)

// An Owed is a delivery that has not been sent, as /api/v1 lists it and `kefud
// outbox list` reads it. What it says is not in it.
type Owed struct {
	ID       string         `json:"id"`
	App      kefu.AppID     `json:"app"`
	Customer string         `json:"customer"` // shortened; of a line, the agent's chat
	Kind     string         `json:"kind"`     // answer, line, or a notice's name
	Agent    kefu.AgentID   `json:"agent,omitempty"`
	State    kefu.OwedState `json:"state"`
	Reason   string         `json:"reason,omitempty"`  // stable word
	Code     int            `json:"errcode,omitempty"` // WeChat's
	Meaning  string         `json:"meaning,omitempty"` // of the reason, in words
	Attempts int            `json:"attempts"`
	Since    time.Time      `json:"since"`
	Buried   time.Time      `json:"buried,omitzero"`
	Due      time.Time      `json:"due,omitzero"`   // when it is looked at again
	Until    time.Time      `json:"until,omitzero"` // until when it may be sent
}

// An OwedPage is a part of what is owed. With Next as the cursor, the next part
// is asked for.
type OwedPage struct {
	Deliveries []Owed `json:"deliveries"`
	Next       string `json:"next,omitempty"`
}

// NewOwedPage puts a page into its outward form.
func NewOwedPage(p kefu.OwedPage) OwedPage {
	out := OwedPage{Deliveries: make([]Owed, 0, len(p.Deliveries)), Next: p.Next}
	for _, d := range p.Deliveries {
		out.Deliveries = append(out.Deliveries, Owed{
			ID: d.ID, App: d.To.App, Customer: kefu.Shorten(d.To.User), Kind: d.Kind, Agent: d.Agent, State: d.State,
			Reason: d.Reason, Code: d.Code, Meaning: meaning(d.Reason), Attempts: d.Attempts,
			Since: d.At, Buried: d.Buried, Due: d.Due, Until: d.Until,
		})
	}
	return out
}

// A Retried is a delivery that is in its lane again.
type Retried struct {
	ID    string         `json:"id"`
	State kefu.OwedState `json:"state"`
	Until time.Time      `json:"until,omitzero"` // until when it may be sent
	Again bool           `json:"again,omitzero"` // it had been put back before
}

// NewRetried puts a revival into its outward form, or gives the HTTP status and
// the reason why there was none.
func NewRetried(id string, r kefu.Revival) (Retried, int, string) {
	out := Retried{ID: id, State: kefu.OwedWaiting, Until: r.Until}
	switch r.Outcome {
	case kefu.Revived:
		return out, http.StatusOK, ""
	case kefu.RevivedBefore:
		out.Again = true
		return out, http.StatusOK, ""
	case kefu.RevivalOver:
		return Retried{}, http.StatusConflict, fmt.Sprintf("it may not be sent any more: the time in which WeChat takes messages for this customer ended %s; he has to write first", ended(r.Until))
	case kefu.RevivalExpired:
		return Retried{}, http.StatusConflict, fmt.Sprintf("it is useless by now: the notice was good until %s", r.Until.Format(time.RFC3339))
	case kefu.RevivalForgotten:
		return Retried{}, http.StatusConflict, "it may not be sent any more: nothing is known of this customer, he has not written for too long or was forgotten"
	case kefu.RevivalOfLine:
		return Retried{}, http.StatusConflict, "a line to an agent's chat is not sent again: his customer was brought to somebody else"
	case kefu.RevivalUnreadable:
		return Retried{}, http.StatusConflict, "no transcript.key opens its words any more"
	case kefu.RevivalUnknown:
	}
	return Retried{}, http.StatusNotFound, "no such delivery is buried"
}

func ended(at time.Time) string {
	if at.IsZero() {
		return "before"
	}
	return "at " + at.Format(time.RFC3339)
}

// meaning tells a reason to people who do not know the word; "" if nobody does.
func meaning(reason string) string {
	return map[string]string{ //nolint:gosec // what is wrong with credentials, not credentials
		"retry":         "failed before, is tried again",
		"no_allowance":  "WeChat takes no more before the customer writes",
		"expired":       "came too late to be of use",
		"attempts":      "was tried too often",
		"out_of_window": "the customer has not written for 48 h, or has left",
		"out_of_count":  "all messages that WeChat allows were used up",
		"not_following": "the user does not follow the official account",
		"no_app":        "its app has left the configuration",
		"switched_off":  "its notice has no text any more",
		"text":          "the notice's text cannot be made",
		"unreadable":    "no transcript.key opens its words any more",
		"panic":         "the program broke at it",
		"bad_openid":    "the openid is of another app, or the customer is gone",
		"bad_app_id":    "the app_id is wrong",
		"bad_secret":    "the app_secret is wrong or frozen",
		"no_secret":     "the app has no app_secret",
		"unauthorized":  "the app has no permission for this API",
		"ip_not_allowed": "WeChat does not take calls from this server's address: " +
			"add it to the app's IP list (IP白名单)",
		"quota":       "the app's quota of API calls is used up",
		"limited":     "the account is restricted",
		"bad_media":   "WeChat does not have the picture, or does not take it",
		"too_large":   "the text or picture is too large",
		"bad_request": "WeChat does not understand the call",
		"errcode":     "an errcode that is in no document",
	}[reason]
}

func (h *handler) owed(c *gin.Context) {
	q := kefu.OwedQuery{
		State: kefu.OwedState(c.DefaultQuery("state", string(kefu.OwedBuried))), App: kefu.AppID(c.Query("app")),
		Limit: OwedDefault, Cursor: c.Query("cursor"),
	}
	if q.State != kefu.OwedBuried && q.State != kefu.OwedWaiting {
		problem(c, http.StatusBadRequest, "state is neither buried nor waiting")
		return
	}
	if limit, given := c.GetQuery("limit"); given {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > OwedMost {
			problem(c, http.StatusBadRequest, fmt.Sprintf("limit is no number from 1 to %d", OwedMost))
			return
		}
		q.Limit = n
	}
	page, err := h.Outbox.Owed(c.Request.Context(), q)
	if err != nil {
		h.unavailable(c, err, "outbox not read")
		return
	}
	c.JSON(http.StatusOK, NewOwedPage(page))
}

func (h *handler) retry(c *gin.Context) {
	id := c.Param("id")
	r, err := h.Outbox.Retry(c.Request.Context(), id)
	if err != nil {
		h.unavailable(c, err, "delivery not put back")
		return
	}
	out, status, why := NewRetried(id, r)
	if why != "" {
		problem(c, status, why)
		return
	}
	c.JSON(status, out)
}
