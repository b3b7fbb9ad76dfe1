package handler

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"kefud/kefu"
)

// An Office knows which agents have bound their own WeChat chats.
type Office interface {
	// Invite lets the agent bind a chat by the code; an earlier code of his is void.
	Invite(ctx context.Context, i kefu.Invitation) error
	Chats(ctx context.Context) ([]kefu.Chat, error)
	// Unbind reports whether there was a chat.
	Unbind(ctx context.Context, agent kefu.AgentID) (bool, error)
}

// InvitationTime is how long the code of an invitation can be used.
const InvitationTime = 10 * time.Minute

// An Agent is an agent and his chat, as /api/v1 lists them and `kefud agents
// list` reads them.
type Agent struct {
	ID          kefu.AgentID `json:"id"`
	Name        string       `json:"name"`
	Switchboard kefu.AppID   `json:"switchboard"`     // "" = he has no relay
	Bound       string       `json:"bound"`           // his openid there, shortened; "" = no chat is bound
	State       string       `json:"state"`           // what he has said there: online, offline, busy; gone
	Until       time.Time    `json:"until,omitzero"`  // from then on nothing can be sent to him, unless he writes
	Presence    string       `json:"presence"`        // what the configuration says: auto, online, paused, away
	Former      bool         `json:"former,omitzero"` // the configuration has no such agent any more, but his chat is bound
}

var presences = map[kefu.ManualState]string{
	kefu.ManualAuto: "auto", kefu.ManualOnline: "online", kefu.ManualPaused: "paused", kefu.ManualAway: "away",
}

// NewAgents lists the agents of a configuration, in its order, and after them
// those who have left it and whose chats are still bound.
func NewAgents(t *kefu.Table, chats []kefu.Chat) []Agent {
	all := make([]Agent, 0, len(t.Agents))
	for i := range t.Agents {
		a := &t.Agents[i]
		one := Agent{
			ID: a.ID, Name: a.Name, Switchboard: a.Relay.App,
			Bound: kefu.Shorten(a.Relay.User), Presence: presences[a.Manual.State],
		}
		his := func(c kefu.Chat) bool { return c.Agent == a.ID && c.ID.App == a.Relay.App }
		if at := slices.IndexFunc(chats, his); at >= 0 {
			one.seat(chats[at])
		}
		all = append(all, one)
	}
	for _, c := range chats {
		if t.Agent(c.Agent) == nil {
			one := Agent{ID: c.Agent, Switchboard: c.ID.App, Former: true}
			one.seat(c)
			all = append(all, one)
		}
	}
	return all
}

// seat fills in what is known of the agent's chat.
func (a *Agent) seat(c kefu.Chat) {
	if c.ID.User != "" {
		a.Bound, a.State, a.Until = kefu.Shorten(c.ID.User), c.State.String(), c.Until
	}
}

// An Invitation is what an agent is told so that he can bind his chat.
type Invitation struct {
	Agent       kefu.AgentID `json:"agent"`
	Code        string       `json:"code"`
	Switchboard kefu.AppID   `json:"switchboard"`
	Expires     time.Time    `json:"expires"`
}

// NewInvitation puts an invitation into its outward form.
func NewInvitation(i kefu.Invitation) Invitation {
	return Invitation{Agent: i.Agent, Code: i.Code, Switchboard: i.App, Expires: i.At.Add(i.For)}
}

func (h *handler) agents(c *gin.Context) {
	chats, err := h.Office.Chats(c.Request.Context())
	if err != nil {
		h.unavailable(c, err, "chats not read")
		return
	}
	c.JSON(http.StatusOK, NewAgents(h.Table(), chats))
}

func (h *handler) invite(c *gin.Context) {
	agent := h.Table().Agent(kefu.AgentID(c.Param("agent")))
	if agent == nil {
		problem(c, http.StatusNotFound, "no such agent in the configuration")
		return
	}
	if agent.Relay.App == "" {
		problem(c, http.StatusConflict, "the agent has no relay.app in the configuration: there is no switchboard to bind a chat with")
		return
	}
	i := kefu.Invitation{Agent: agent.ID, App: agent.Relay.App, Code: h.NewCode(), At: h.Now().UTC(), For: InvitationTime}
	if err := h.Office.Invite(c.Request.Context(), i); err != nil {
		h.unavailable(c, err, "invitation not kept")
		return
	}
	c.JSON(http.StatusCreated, NewInvitation(i))
}

// unbind also takes agents who have left the configuration.
func (h *handler) unbind(c *gin.Context) {
	bound, err := h.Office.Unbind(c.Request.Context(), kefu.AgentID(c.Param("agent")))
	if err != nil {
		h.unavailable(c, err, "chat not unbound")
		return
	}
	if !bound {
		problem(c, http.StatusNotFound, "no chat is bound to this agent")
		return
	}
	c.Status(http.StatusNoContent)
}
