package presence

import (
	"maps"
	"slices"
	"time"

	"kefud/kefu"
)

// A snapshot is a roster and what it was made from.
type snapshot struct {
	roster     *kefu.Roster
	table      *kefu.Table
	plan       *plan
	desks      map[kefu.AppID]*part // of the agents who sit there
	everywhere *part                // of those who stand at every app that customers write to
	until      time.Time            // when something in it becomes untrue by itself; zero = never
}

// holds reports whether the snapshot still says what would be said now.
func (s *snapshot) holds(table *kefu.Table, now time.Time) bool {
	return s != nil && s.table == table && before(now, s.until)
}

func before(now, until time.Time) bool { return until.IsZero() || now.Before(until) }

// Roster tells who is there now. It is cheap: the roster is made anew only when
// something was learned, by whoever learned it, and when the config changed, a list
// grew old, or an absence ended; of it, only what that changes. Under the same config
// it is the same one as before if nobody's standing changed. Versions grow. Time is
// expected to go forward from call to call.
func (b *Board) Roster(now time.Time) *kefu.Roster {
	if s := b.current.Load(); s.holds(b.table(), now) {
		return s.roster
	}
	b.building.Lock()
	defer b.building.Unlock()
	table, last := b.table(), b.current.Load()
	if last.holds(table, now) {
		return last.roster
	}
	b.replace(table, now)
	return b.current.Load().roster
}

// Prepare makes the roster for a table that is about to come, so that nobody who
// asks has to wait for that.
func (b *Board) Prepare(table *kefu.Table) {
	now := b.now()
	b.building.Lock()
	defer b.building.Unlock()
	b.prepared.Store(b.build(nil, table, now))
}

// learn changes what the board knows, if there is news in it, and makes the roster
// for that. Whoever asks meanwhile is told what was known before.
func (b *Board) learn(change func(now time.Time) bool) {
	now := b.now()
	b.building.Lock()
	defer b.building.Unlock()
	b.mu.Lock()
	news := change(now)
	if news {
		b.turn++
	}
	b.mu.Unlock()
	if news {
		b.replace(b.table(), now)
	}
}

// replace makes the next snapshot. It is called by whoever builds.
func (b *Board) replace(table *kefu.Table, now time.Time) {
	last := b.current.Load()
	from := last
	if p := b.prepared.Load(); p != nil && p.table == table && (last == nil || last.table != table) {
		from = p
		b.prepared.Store(nil)
	}
	next := b.build(from, table, now)
	switch {
	case last == nil:
		next.roster = kefu.NewRoster(1, next.layers()...)
	case last.table == table && next.same(last):
		next.roster = last.roster
	default:
		next.roster = kefu.NewRoster(last.roster.Version+1, next.layers()...)
	}
	b.current.Store(next)
}

// layers gives the standings, by app.
func (s *snapshot) layers() []map[kefu.AppID]map[kefu.AgentID]kefu.Standing {
	desks := make(map[kefu.AppID]map[kefu.AgentID]kefu.Standing, len(s.desks))
	for app, p := range s.desks {
		desks[app] = p.standings
	}
	everywhere := make(map[kefu.AppID]map[kefu.AgentID]kefu.Standing, len(s.plan.customers))
	for _, app := range s.plan.customers {
		everywhere[app] = s.everywhere.standings
	}
	return []map[kefu.AppID]map[kefu.AgentID]kefu.Standing{desks, everywhere}
}

// same reports whether everybody stands as in another snapshot of the same table.
func (s *snapshot) same(as *snapshot) bool {
	for app, p := range s.desks {
		if !p.same(as.desks[app]) {
			return false
		}
	}
	return s.everywhere.same(as.everywhere)
}

// A part is the standings of those who belong together, and what they were made
// from.
type part struct {
	standings map[kefu.AgentID]kefu.Standing
	list      uint64 // the turn of the list
	chats     uint64 // the turn of the chats; 0 = they have no part in it
	until     time.Time
}

func (p *part) same(as *part) bool {
	return p == as || maps.Equal(p.standings, as.standings)
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
