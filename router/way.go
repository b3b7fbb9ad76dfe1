package router

import (
	"context"
	"errors"
	"sync/atomic"

	"kefud/internal/memo"
	"kefud/kefu"
)

// A Forwarder brings messages to agents by a way of its own, before the push is
// answered. WeChat's desk needs none: there the answer itself is the transfer.
type Forwarder interface {
	// Forward returns nil once the agent has the message, or it is held for him.
	// After an error the message may still have reached him, but nobody may rely
	// on it. A message that was forwarded is not forwarded again.
	Forward(ctx context.Context, f kefu.Forwarding) error
	// Handover brings an agent a conversation with what was said in it. It returns
	// no error once that is written down for him, and which Saying was the last.
	Handover(ctx context.Context, h kefu.Handover) (string, error)
	// Leave tells an agent that a conversation is no longer his, but another's or,
	// for "", nobody's. It fails quietly: he can say nothing in it any more.
	Leave(ctx context.Context, h kefu.Handover, missed bool)
}

// noRelay reaches nobody.
type noRelay struct{}

var errNoRelay = errors.New("there is no relay")

func (noRelay) Forward(context.Context, kefu.Forwarding) error { return errNoRelay }
func (noRelay) Handover(context.Context, kefu.Handover) (string, error) {
	return "", errNoRelay
}
func (noRelay) Leave(context.Context, kefu.Handover, bool) {}

// wayTo tells how a customer of the app would reach an agent, or why he cannot.
// A paused agent can be reached by those whom he serves.
func wayTo(app *kefu.App, agent *kefu.Agent, st kefu.Standing) (kefu.Answer, kefu.Reason) {
	if agent == nil {
		return kefu.Answer{}, kefu.ReasonLeft
	}
	if !st.Relayed && agent.Desk.App != "" && agent.Desk.App != app.ID {
		return kefu.Answer{}, kefu.ReasonNoWay
	}
	if reason := absence(st.Presence); reason != "" {
		return kefu.Answer{}, reason
	}
	a := kefu.Answer{Way: kefu.WayPlain, Agent: agent.ID}
	switch {
	case st.Relayed:
		a.Way = kefu.WayRelay
	case app.NamesAgents && st.Account != "":
		a.Way, a.Account = kefu.WayNamed, st.Account
	}
	return a, ""
}

// absence gives the reason why a presence keeps an agent from conversations; ""
// for the only one that does not.
func absence(p kefu.Presence) kefu.Reason {
	switch p {
	case kefu.PresenceOnline:
		return ""
	case kefu.PresenceOffline:
		return kefu.ReasonOffline
	case kefu.PresenceAway:
		return kefu.ReasonAway
	case kefu.PresenceUnknown:
		return kefu.ReasonUnknown
	}
	return kefu.ReasonUnknown
}

// reachBook keeps, for one table and one roster, the Reach of every app that was
// asked for: to work out all of them at once would hold up whoever comes first.
type reachBook struct {
	table  *kefu.Table
	roster *kefu.Roster
	reach  memo.Memo[*kefu.App, kefu.Reach]
}

// reaches makes reach books and remembers the last.
type reaches struct {
	last atomic.Pointer[reachBook]
}

// of gives who of the app's ladders can be reached, as table and roster have it.
func (r *reaches) of(app *kefu.App, table *kefu.Table, roster *kefu.Roster) kefu.Reach {
	book := r.last.Load()
	if book == nil || book.table != table || book.roster != roster {
		book = &reachBook{table: table, roster: roster}
		r.last.Store(book)
	}
	return book.reach.Get(app, book.write)
}

func (b *reachBook) write(app *kefu.App) kefu.Reach {
	var answers []kefu.Answer
	seen := make(map[kefu.AgentID]bool)
	for _, e := range app.Entries {
		for _, s := range e.Steps {
			for _, id := range s.Agents {
				if seen[id] {
					continue
				}
				seen[id] = true
				if a, reason := wayTo(app, b.table.Agent(id), b.roster.Standing(app.ID, id)); reason == "" {
					answers = append(answers, a)
				}
			}
		}
	}
	return kefu.NewReach(answers)
}
