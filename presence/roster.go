package presence

import (
	"maps"
	"slices"
	"time"

	"kefud/kefu"
)

// A snapshot is a roster and what it was made from.
type snapshot struct {
	roster    *kefu.Roster
	standings map[kefu.AppID]map[kefu.AgentID]kefu.Standing
	table     *kefu.Table
	changes   uint64
	until     time.Time // when something in it becomes untrue by itself; zero = never
}

// holds reports whether the snapshot still says what would be said now.
func (s *snapshot) holds(table *kefu.Table, changes uint64, now time.Time) bool {
	return s != nil && s.table == table && s.changes == changes &&
		(s.until.IsZero() || now.Before(s.until))
}

// Roster tells who is there now. It is cheap: the roster is made anew only when
// the config or a list changed, a list grew old, or an absence ended; and under
// the same config it is the same one as before if nobody's standing changed by
// that. Versions grow. Time is expected to go forward from call to call.
func (b *Board) Roster(now time.Time) *kefu.Roster {
	if s := b.current.Load(); s.holds(b.table(), b.changes.Load(), now) {
		return s.roster
	}
	b.building.Lock()
	defer b.building.Unlock()
	table, changes, last := b.table(), b.changes.Load(), b.current.Load()
	if last.holds(table, changes, now) {
		return last.roster
	}
	next := b.build(table, now)
	next.table, next.changes = table, changes
	switch {
	case last == nil:
		next.roster = kefu.NewRoster(1, next.standings)
	case last.table == table && maps.EqualFunc(last.standings, next.standings, maps.Equal):
		next.roster = last.roster
	default:
		next.roster = kefu.NewRoster(last.roster.Version+1, next.standings)
	}
	b.current.Store(next)
	return next.roster
}

// A builder collects the standings of one instant.
type builder struct {
	now       time.Time
	lists     map[kefu.AppID]listing
	chats     chats
	given     map[kefu.CustomerID]kefu.AgentID // whose chats the configuration names
	customers []kefu.AppID                     // the apps that customers write to
	snap      *snapshot
}

func (b *Board) build(table *kefu.Table, now time.Time) *snapshot {
	c := builder{now: now, lists: map[kefu.AppID]listing{}, given: map[kefu.CustomerID]kefu.AgentID{}, snap: &snapshot{
		standings: map[kefu.AppID]map[kefu.AgentID]kefu.Standing{},
	}}
	for app, s := range b.lists() {
		ends := s.since.Add(b.of(app).StaleAfter)
		c.lists[app] = index(s.list, now.Before(ends))
		c.changesAt(ends)
	}
	b.mu.Lock()
	c.chats = b.chats // Keep and readChats replace the map, they do not change it
	b.mu.Unlock()
	for i := range table.Apps {
		if !table.Apps[i].Switchboard {
			c.customers = append(c.customers, table.Apps[i].ID)
		}
	}
	for i := range table.Agents {
		if a := &table.Agents[i]; a.Relay.User != "" {
			c.given[kefu.CustomerID{App: a.Relay.App, User: a.Relay.User}] = a.ID
		}
	}
	for i := range table.Agents {
		c.add(&table.Agents[i])
	}
	return c.snap
}

// changesAt remembers an instant at which a standing changes by itself.
func (c *builder) changesAt(at time.Time) {
	if c.now.Before(at) && (c.snap.until.IsZero() || at.Before(c.snap.until)) {
		c.snap.until = at
	}
}

// add puts an agent on the board: at his desk's app or, without a desk, if an
// operator speaks for him, at every app that customers write to. An agent who
// can be reached in his own chat is, whatever his desk's list says.
func (c *builder) add(a *kefu.Agent) {
	if c.chat(a) {
		return
	}
	said := c.manual(a.Manual)
	s := kefu.Standing{Presence: said, Paused: a.Manual.State == kefu.ManualPaused, Account: a.Desk.Account}
	if a.Desk.App == "" {
		if s.Paused {
			s.Presence = kefu.PresenceOnline // nobody but the operator speaks for him
		}
		if s.Presence == kefu.PresenceUnknown {
			return
		}
		for _, app := range c.customers {
			c.put(app, a.ID, s)
		}
		return
	}
	list := c.lists[a.Desk.App]
	entry, listed := list.find(a.Desk)
	if s.Account == "" {
		s.Account = entry.Account // who has which account does not age
	}
	switch {
	case said != kefu.PresenceUnknown || !list.fresh:
	case listed:
		s.Presence = kefu.PresenceOnline
	case list.tellsOf(a.Desk):
		s.Presence = kefu.PresenceOffline
	}
	c.put(a.Desk.App, a.ID, s)
}

func (c *builder) put(app kefu.AppID, agent kefu.AgentID, s kefu.Standing) {
	if c.snap.standings[app] == nil {
		c.snap.standings[app] = map[kefu.AgentID]kefu.Standing{}
	}
	c.snap.standings[app][agent] = s
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

// A listing is an online list that can be looked up. The zero listing is none.
type listing struct {
	fresh  bool
	agents map[deskID]kefu.Listed
	kinds  map[byte]bool // of ids that the list carries
}

// A deskID is one of an agent's ids at a desk: equal texts of different kinds
// are not the same id.
type deskID struct {
	kind byte
	text string
}

// ids gives the ids that are there.
func ids(account, user, id string) []deskID {
	all := make([]deskID, 0, 3)
	for _, d := range [...]deskID{{'a', account}, {'u', user}, {'i', id}} {
		if d.text != "" {
			all = append(all, d)
		}
	}
	return all
}

func index(list kefu.OnlineList, fresh bool) listing {
	l := listing{fresh: fresh, agents: make(map[deskID]kefu.Listed, 3*len(list.Agents)), kinds: map[byte]bool{}}
	for _, agent := range list.Agents {
		for _, id := range ids(agent.Account, agent.User, agent.ID) {
			l.agents[id] = agent
			l.kinds[id.kind] = true
		}
	}
	return l
}

// tellsOf reports whether an agent would be recognized if he were listed. A
// mini-program's list may carry no kf_account, so whoever is known by that alone
// is neither there nor absent. An empty list says that nobody is there.
func (l listing) tellsOf(d kefu.Desk) bool {
	if len(l.agents) == 0 {
		return true
	}
	return slices.ContainsFunc(ids(d.Account, d.User, d.ID), func(id deskID) bool { return l.kinds[id.kind] })
}

// find looks an agent up by any of his ids.
func (l listing) find(d kefu.Desk) (kefu.Listed, bool) {
	for _, id := range ids(d.Account, d.User, d.ID) {
		if agent, ok := l.agents[id]; ok {
			return agent, true
		}
	}
	return kefu.Listed{}, false
}
