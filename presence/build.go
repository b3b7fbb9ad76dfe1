package presence

import (
	"time"

	"kefud/kefu"
)

// A plan is who belongs together in a table.
type plan struct {
	desks     map[kefu.AppID]group
	abroad    group                            // may stand at every app that customers write to
	given     map[kefu.CustomerID]kefu.AgentID // whose chats the configuration names
	customers []kefu.AppID                     // the apps that customers write to
}

type group struct {
	agents  []*kefu.Agent
	relayed bool // of some, their chats matter
}

func (g group) with(a *kefu.Agent) group {
	return group{agents: append(g.agents, a), relayed: g.relayed || a.Relay.App != ""}
}

func newPlan(table *kefu.Table) *plan {
	p := &plan{desks: map[kefu.AppID]group{}, given: map[kefu.CustomerID]kefu.AgentID{}}
	for i := range table.Apps {
		if !table.Apps[i].Switchboard {
			p.customers = append(p.customers, table.Apps[i].ID)
		}
	}
	for i := range table.Agents {
		a := &table.Agents[i]
		if a.Relay.User != "" {
			p.given[kefu.CustomerID{App: a.Relay.App, User: a.Relay.User}] = a.ID
		}
		if a.Desk.App != "" {
			p.desks[a.Desk.App] = p.desks[a.Desk.App].with(a)
		}
		if a.Desk.App == "" || a.Relay.App != "" {
			p.abroad = p.abroad.with(a)
		}
	}
	return p
}

// A builder makes the parts of one snapshot.
type builder struct {
	now   time.Time
	chats chats
	plan  *plan
	until time.Time // of the part in hand
}

// build makes a snapshot, but for its roster, out of one of the same table as far as
// that still holds.
func (b *Board) build(from *snapshot, table *kefu.Table, now time.Time) *snapshot {
	if from == nil || from.table != table {
		from = &snapshot{plan: newPlan(table)}
	}
	next := &snapshot{table: table, plan: from.plan, desks: make(map[kefu.AppID]*part, len(from.plan.desks))}
	lists := b.lists()
	b.mu.Lock()
	c := builder{now: now, plan: from.plan, chats: b.chats} // its map is replaced, never changed
	b.mu.Unlock()
	for app, g := range c.plan.desks {
		s := lists[app]
		p := from.desks[app]
		if !c.holds(p, g, s.turn) {
			p = c.desk(g, s, s.since.Add(b.of(app).StaleAfter))
		}
		next.desks[app] = p
		next.until = earlier(next.until, p.until)
	}
	next.everywhere = from.everywhere
	if !c.holds(next.everywhere, c.plan.abroad, 0) {
		next.everywhere = c.everywhere()
	}
	next.until = earlier(next.until, next.everywhere.until)
	return next
}

// earlier gives the earlier of two instants, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// holds reports whether a part would be the same if it were made now.
func (c *builder) holds(p *part, g group, list uint64) bool {
	return p != nil && p.list == list && before(c.now, p.until) && (!g.relayed || p.chats == c.chats.turn)
}

// begin makes an empty part.
func (c *builder) begin(g group, list uint64) *part {
	c.until = time.Time{}
	return &part{standings: make(map[kefu.AgentID]kefu.Standing, len(g.agents)), list: list, chats: c.chats.turn}
}

// changesAt remembers an instant at which a standing changes by itself.
func (c *builder) changesAt(at time.Time) {
	if c.now.Before(at) {
		c.until = earlier(c.until, at)
	}
}

// everywhere has the agents who are reached in their own chats, whatever their
// desks' lists say, and those without a desk for whom an operator speaks.
func (c *builder) everywhere() *part {
	p := c.begin(c.plan.abroad, 0)
	for _, a := range c.plan.abroad.agents {
		s, ok := c.chat(a)
		if !ok && a.Desk.App == "" {
			s, ok = c.alone(a)
		}
		if ok {
			p.standings[a.ID] = s
		}
	}
	p.until = c.until
	return p
}

// alone gives the standing of an agent of whom nobody but the operator tells.
func (c *builder) alone(a *kefu.Agent) (kefu.Standing, bool) {
	s := kefu.Standing{Presence: c.manual(a.Manual), Paused: a.Manual.State == kefu.ManualPaused, Account: a.Desk.Account}
	if s.Paused {
		s.Presence = kefu.PresenceOnline
	}
	return s, s.Presence != kefu.PresenceUnknown
}

// desk has the agents of one desk, but for those who are reached in their own chats.
func (c *builder) desk(g group, seen sighting, ends time.Time) *part {
	p := c.begin(g, seen.turn)
	list := listing{}
	if seen.turn != 0 {
		list = index(seen.list, c.now.Before(ends))
		c.changesAt(ends)
	}
	for _, a := range g.agents {
		if _, ok := c.chat(a); !ok {
			p.standings[a.ID] = c.seated(a, list)
		}
	}
	p.until = c.until
	return p
}

func (c *builder) seated(a *kefu.Agent, list listing) kefu.Standing {
	s := kefu.Standing{Presence: c.manual(a.Manual), Paused: a.Manual.State == kefu.ManualPaused, Account: a.Desk.Account}
	entry, listed := list.find(a.Desk)
	if s.Account == "" {
		s.Account = entry.Account // who has which account does not age
	}
	switch {
	case s.Presence != kefu.PresenceUnknown || !list.fresh:
	case listed:
		s.Presence = kefu.PresenceOnline
	case list.tellsOf(a.Desk):
		s.Presence = kefu.PresenceOffline
	}
	return s
}

// manual gives what an operator says of an agent's presence; unknown if he
// leaves it to the list.
func (c *builder) manual(m kefu.Manual) kefu.Presence {
	switch m.State {
	case kefu.ManualOnline:
		return kefu.PresenceOnline
	case kefu.ManualAway:
		if m.Until.IsZero() || c.now.Before(m.Until) {
			c.changesAt(m.Until)
			return kefu.PresenceAway
		}
	}
	return kefu.PresenceUnknown
}
