package router

import (
	"context"
	"sync/atomic"

	"kefud/kefu"
)

// A Forwarder brings messages to agents by a way of its own, before the push is
// answered. WeChat's desk needs none: there the answer itself is the transfer.
type Forwarder interface {
	// Reaches reports whether the agent can be reached this way just now.
	Reaches(agent *kefu.Agent) bool
	// Forward returns nil once the agent has the message. After an error the
	// message may still have reached him, but nobody may rely on it.
	Forward(ctx context.Context, m kefu.Message, agent kefu.AgentID) error
}

// wayTo tells how a customer of the app would reach an agent, or why he cannot.
// A paused agent can be reached by those whom he serves.
func wayTo(app *kefu.App, agent *kefu.Agent, st kefu.Standing, relay Forwarder) (kefu.Answer, kefu.Reason) {
	if agent == nil {
		return kefu.Answer{}, kefu.ReasonLeft
	}
	relayed := relay != nil && relay.Reaches(agent)
	if !relayed && agent.Desk.App != "" && agent.Desk.App != app.ID {
		return kefu.Answer{}, kefu.ReasonNoWay
	}
	if reason := absence(st.Presence); reason != "" {
		return kefu.Answer{}, reason
	}
	a := kefu.Answer{Way: kefu.WayPlain, Agent: agent.ID}
	switch {
	case relayed:
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

// reachBook keeps, for one table and one roster, every app's Reach.
type reachBook struct {
	table  *kefu.Table
	roster *kefu.Roster
	reach  map[kefu.AppID]kefu.Reach
}

// reaches makes reach books and remembers the last.
type reaches struct {
	last  atomic.Pointer[reachBook]
	relay Forwarder
}

// of gives who of the app's ladders can be reached, as table and roster have it.
func (r *reaches) of(app kefu.AppID, table *kefu.Table, roster *kefu.Roster) kefu.Reach {
	book := r.last.Load()
	// The relay's own state is in no roster, so with a relay nothing is remembered.
	if book == nil || book.table != table || book.roster != roster || r.relay != nil {
		book = r.write(table, roster)
		r.last.Store(book)
	}
	return book.reach[app]
}

func (r *reaches) write(table *kefu.Table, roster *kefu.Roster) *reachBook {
	book := &reachBook{table: table, roster: roster, reach: make(map[kefu.AppID]kefu.Reach, len(table.Apps))}
	for i := range table.Apps {
		app := &table.Apps[i]
		var answers []kefu.Answer
		seen := make(map[kefu.AgentID]bool)
		for _, e := range app.Entries {
			for _, s := range e.Steps {
				for _, id := range s.Agents {
					if seen[id] {
						continue
					}
					seen[id] = true
					if a, reason := wayTo(app, table.Agent(id), roster.Standing(app.ID, id), r.relay); reason == "" {
						answers = append(answers, a)
					}
				}
			}
		}
		book.reach[app.ID] = kefu.NewReach(answers)
	}
	return book
}
