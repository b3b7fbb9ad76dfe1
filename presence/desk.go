package presence

import (
	"time"

	"kefud/kefu"
)

// skew is how far in the future a list's time may lie and still be believed:
// the clocks of two replicas are never quite the same.
const skew = 3 * time.Second

// A sighting is a list and the instant from which it ages.
type sighting struct {
	list  kefu.OnlineList
	since time.Time
	turn  uint64 // of the board's knowledge; tells it from all others
}

// see takes a list first seen now. It ages from its own time on, or from now
// on if it claims to come from the future.
func see(list kefu.OnlineList, now time.Time) sighting {
	if list.At.After(now.Add(skew)) {
		return sighting{list: list, since: now}
	}
	return sighting{list: list, since: list.At}
}

// A desk is what is known of one app's desk. The list in the store and the one
// this replica got by itself are kept apart, so that a replica with a wrong
// clock cannot have its old list seen as new again and again.
type desk struct {
	stored, own sighting
	led         bool    // the lead was this replica's when the store last said
	asking      failure // of the polls, while this replica makes them
}

// newest gives the list that counts; a zero time if there is none.
func (d *desk) newest() sighting {
	if d.own.since.After(d.stored.since) {
		return d.own
	}
	return d.stored
}

// desk gives an app's desk; b.mu is held.
func (b *Board) desk(app kefu.AppID) *desk {
	d := b.desks[app]
	if d == nil {
		d = &desk{}
		b.desks[app] = d
	}
	return d
}

// forget drops an app at whose desk nobody sits any more.
func (b *Board) forget(app kefu.AppID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.desks, app)
}

// keepOwn takes a list that this replica has got.
func (b *Board) keepOwn(app kefu.AppID, list kefu.OnlineList) {
	b.learn(func(now time.Time) bool {
		d := b.desk(app)
		d.own = see(list, now)
		d.own.turn = b.turn + 1
		return true
	})
}

// keepStored takes lists as they stand in the store. A list seen before keeps
// its age.
func (b *Board) keepStored(lists map[kefu.AppID]kefu.OnlineList) {
	b.learn(func(now time.Time) bool {
		news := false
		for app, list := range lists {
			if d := b.desk(app); !list.At.Equal(d.stored.list.At) {
				d.stored = see(list, now)
				d.stored.turn = b.turn + 1
				news = true
			}
		}
		return news
	})
}

// lists gives the list that counts of each app.
func (b *Board) lists() map[kefu.AppID]sighting {
	b.mu.Lock()
	defer b.mu.Unlock()
	lists := make(map[kefu.AppID]sighting, len(b.desks))
	for app, d := range b.desks {
		if s := d.newest(); !s.since.IsZero() {
			lists[app] = s
		}
	}
	return lists
}

// A State is one app's knowledge, for readiness.
type State struct {
	At     time.Time     // when the list was made; zero = there is none
	Age    time.Duration // 0 without a list
	Fresh  bool          // the list is young enough to say who is there
	Listed int           // agents on it
	Err    error         // what went wrong last, on the way from WeChat or in the store; nil if nothing did
}

// State tells of each app at whose desk agents sit.
func (b *Board) State() map[kefu.AppID]State {
	apps, lists, now := deskApps(b.table()), b.lists(), b.now()
	states := make(map[kefu.AppID]State, len(apps))
	for _, app := range apps {
		var state State
		if s, ok := lists[app]; ok {
			age := max(0, now.Sub(s.since))
			state = State{
				At: s.list.At, Age: age, Fresh: age < b.of(app).StaleAfter, Listed: len(s.list.Agents),
			}
		}
		state.Err = b.err(app)
		states[app] = state
	}
	return states
}

func (b *Board) err(app kefu.AppID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.desks[app]; d != nil && d.asking.err != nil {
		return d.asking.err
	}
	return b.reading.err
}
