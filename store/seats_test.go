package store_test

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"kefud/kefu"
	"kefud/store"
)

func testSeatOrder(t *testing.T, b backend) {
	s := b.open(t)
	p, q, r := newPerson(t, s, "p"), newPerson(t, s, "q"), newPerson(t, s, "r")
	got := p.seat(1, "", "wang", "li")
	same(t, "taken", []any{got.Agent, got.Position, got.Loads},
		[]any{kefu.AgentID("wang"), 0, []kefu.Load{{Agent: "wang", Seats: 1, LastNew: start}}})
	if got.Token == "" {
		t.Error("no token")
	}
	q.later(time.Second)
	got = q.seat(1, "", "wang", "li", "zhao")
	same(t, "the next", []any{got.Agent, got.Loads}, []any{kefu.AgentID("li"), []kefu.Load{
		{Agent: "wang", Seats: 1, LastNew: start}, {Agent: "li", Seats: 1, LastNew: q.now},
	}})
	got = r.seat(1, "", "wang", "li")
	same(t, "none left", got, kefu.Seat{Position: 1, Loads: []kefu.Load{
		{Agent: "wang", Seats: 1, LastNew: start}, {Agent: "li", Seats: 1, LastNew: q.now},
	}})
	same(t, "no candidates", r.seat(1, ""), kefu.Seat{Position: 1})
	if got = r.seat(0, "", "wang"); got.Agent != "wang" || got.Loads[0].Seats != 2 {
		t.Errorf("without a limit: %+v, want wang with 2", got)
	}
}

func testSeatHeld(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	first := p.seat(1, "", "wang")
	p.later(time.Minute)
	again := p.seat(1, "wang", "wang")
	same(t, "again", []any{again.Agent, again.Loads}, []any{kefu.AgentID("wang"), []kefu.Load{{Agent: "wang", Seats: 1, LastNew: start}}})
	if first.Token == again.Token {
		t.Error("two takings have one token")
	}
	q.now = start.Add(store.SeatFor(idle) + time.Second) // beyond the first taking
	if got := q.seat(1, "", "wang"); got.Agent != "" {
		t.Error("a seat that was taken again fell free at its first time")
	}
}

func testSeatGivenUp(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	p.seat(1, "", "wang")
	if got := p.seat(1, "wang", "li"); got.Agent != "li" {
		t.Fatalf("seat %+v, want li's", got)
	}
	same(t, "wang's seats", p.seats("wang"), 0)
	q.seat(1, "", "wang")
	if got := p.seat(1, "li", "wang"); got.Agent != "" {
		t.Fatalf("seat %+v, want none", got)
	}
	same(t, "li's seats, given up although there is no other", p.seats("li"), 0)
}

// A push that gives up the seat of its conversation does not take away the one
// that another push has just taken at the same agent.
func testSeatTakenSince(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	p.served("wang", 1)
	giveUp := func() {
		t.Helper()
		h := p.history().Conversation
		if h.Holds != "wang" {
			t.Fatalf("history %+v, want wang's seat held", h)
		}
		_, err := s.Seat(t.Context(), kefu.SeatRequest{
			Customer: p.id, Entry: "cs1", At: p.now, Idle: idle, Holds: h.Holds, Held: h.Held,
			Candidates: []kefu.SeatCandidate{{Agent: "li", Capacity: 1}},
		})
		if err != nil {
			t.Fatalf("seat: %v", err)
		}
	}
	p.later(time.Second)
	p.seat(1, "wang", "wang") // another push
	giveUp()
	same(t, "seats taken since", p.seats("wang"), 1)
	p.settle(p.push(within("")).Conversation, "wang") // it was this one
	p.later(time.Second)
	giveUp()
	same(t, "seats of the conversation", p.seats("wang"), 0)

	p.seat(1, "", "wang")
	p.later(idle / 2)
	if !p.push().Kept {
		t.Fatal("not kept")
	}
	s.Refresh(t.Context())
	giveUp()
	same(t, "refreshed seats of the conversation", p.seats("wang"), 0)
}

func testSeatExpires(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	p.seat(1, "", "wang")
	q.now = start.Add(store.SeatFor(idle))
	same(t, "seats at the last moment", q.seats("wang"), 1)
	if got := q.seat(1, "", "wang"); got.Agent != "" {
		t.Errorf("seat %+v while it is taken", got)
	}
	q.later(time.Millisecond)
	same(t, "seats after it", q.seats("wang"), 0)
	if got := q.seat(1, "", "wang"); got.Agent != "wang" || got.Loads[0].Seats != 1 {
		t.Errorf("seat %+v, want the one that fell free", got)
	}
}

func testSeatLongLadder(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	var agents []kefu.AgentID
	for i := range 2*store.LadderStep + 10 {
		agents = append(agents, kefu.AgentID(fmt.Sprintf("a%03d", i)))
	}
	last := agents[len(agents)-1]
	for i, a := range agents[:len(agents)-1] {
		newPerson(t, s, fmt.Sprintf("q%d", i)).seat(1, "", a)
	}
	// A seat held at an agent further down must survive the steps before him.
	if got := p.seat(1, "", last); got.Agent != last {
		t.Fatalf("seat %+v, want the last agent's", got)
	}
	got := p.seat(1, last, agents...)
	if got.Agent != last || len(got.Loads) != len(agents) {
		t.Fatalf("seat at %q after %d, want %q after %d", got.Agent, len(got.Loads), last, len(agents))
	}
	for i, l := range got.Loads {
		if l.Agent != agents[i] || l.Seats != 1 {
			t.Errorf("load %d is %+v, want %s with 1", i, l, agents[i])
		}
	}
	if got = p.seat(1, last, agents[:len(agents)-1]...); got.Agent != "" || got.Position != 1 {
		t.Errorf("seat %+v, want none and the first place", got)
	}
	same(t, "the seat given up", p.seats(last), 0)
}

func testSeatWaiting(t *testing.T, b backend) {
	s := b.open(t)
	newPerson(t, s, "other").seat(1, "", "wang")
	p, q, r := newPerson(t, s, "p"), newPerson(t, s, "q"), newPerson(t, s, "r")
	place := func(who *person, want int) {
		t.Helper()
		if got := who.seat(1, "", "wang"); got.Position != want {
			t.Errorf("%s has place %d, want %d", who.id.User, got.Position, want)
		}
	}
	place(p, 1)
	q.later(time.Second)
	place(q, 2)
	r.later(2 * time.Second)
	place(r, 3)
	p.later(time.Minute)
	place(p, 1) // asking again keeps the place

	if got := q.seat(1, "", "li"); got.Agent != "li" || got.Position != 0 {
		t.Errorf("seat %+v, want li's", got)
	}
	place(r, 2)
	r.now = start.Add(idle)
	place(r, 2)
	r.now = p.now.Add(idle + time.Millisecond) // p has not asked for idle
	place(r, 1)
	place(p, 2) // and has to begin at the end
}

// Whoever keeps his agent if no other has room for him does not wait, and is in
// nobody's way who does.
func testSeatStays(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	newPerson(t, s, "r").seat(1, "", "li")
	p.seat(1, "", "wang")
	got, err := s.Seat(t.Context(), kefu.SeatRequest{
		Customer: p.id, Entry: "cs1", At: p.now, Idle: idle, Stays: true, Candidates: []kefu.SeatCandidate{{Agent: "li", Capacity: 1}},
	})
	if err != nil || got.Agent != "" || got.Position != 0 || len(got.Loads) != 1 {
		t.Errorf("seat %+v, %v; want none, and no place", got, err)
	}
	same(t, "wang's seats", p.seats("wang"), 1)
	same(t, "the place of one who waits", q.seat(1, "", "wang", "li").Position, 1)
}

func testRelease(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	seat := p.seat(1, "", "wang")
	newPerson(t, s, "q").release(seat)
	same(t, "seats after somebody else's release", p.seats("wang"), 1)
	p.release(seat)
	same(t, "seats after the release", p.seats("wang"), 0)
	p.release(seat)
	p.release(kefu.Seat{Position: 3})

	p.seat(1, "", "wang")
	p.release(seat)
	same(t, "seats after the release of an earlier taking", p.seats("wang"), 1)
	if err := s.Release(t.Context(), p.id, kefu.Seat{Agent: "wang"}); err == nil {
		t.Error("a seat without a token was released")
	}
}

// Two pushes of one customer took the same seat: whichever gives it back, the
// other still has it, and together they leave nothing.
func testReleaseRestores(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	first, second := p.seat(1, "", "wang"), p.seat(1, "", "wang")
	p.release(second)
	same(t, "seats after the second's release", p.seats("wang"), 1)
	p.release(first)
	same(t, "seats after both", p.seats("wang"), 0)

	first, second = p.seat(1, "", "wang"), p.seat(1, "", "wang")
	p.release(first)
	same(t, "seats after the first's release", p.seats("wang"), 1)
	p.release(second)
	p.now = start.Add(store.SeatFor(idle) + time.Millisecond)
	same(t, "seats when they run out", p.seats("wang"), 0)
}

func testLoads(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	p.seat(5, "", "wang")
	q.later(time.Minute)
	q.seat(5, "", "wang")
	got, err := s.Loads(t.Context(), q.now, []kefu.AgentID{"li", "wang"})
	if err != nil {
		t.Fatalf("loads: %v", err)
	}
	same(t, "loads", got, []kefu.Load{{Agent: "li"}, {Agent: "wang", Seats: 2, LastNew: q.now}})
	if got, err := s.Loads(t.Context(), q.now, nil); len(got) != 0 || err != nil {
		t.Errorf("of nobody: %v, %v", got, err)
	}
}

func testRefreshKeeps(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	p.served("wang", 1)
	refreshed := func(want int) {
		t.Helper()
		if got := s.Refresh(t.Context()); got != want {
			t.Errorf("%d refreshes, want %d", got, want)
		}
	}
	p.later(idle / 20)
	p.push()
	refreshed(0) // the seat was taken no longer ago than a twentieth
	p.later(time.Millisecond)
	p.push()
	p.push()
	refreshed(1)
	last := p.now
	p.now = start.Add(store.SeatFor(idle)).Add(time.Second)
	same(t, "seats beyond the taking", p.seats("wang"), 1)
	p.now = last

	// As long as the conversation can go on, it has its seat.
	for range 50 {
		p.later(idle / 3)
		if !p.push().Kept {
			t.Fatal("not kept")
		}
		refreshed(1)
		p.later(idle)
		same(t, "seats at the last moment of the conversation", p.seats("wang"), 1)
		p.later(-idle)
	}
	p.later(store.SeatFor(idle) + time.Second)
	same(t, "seats after the last push", p.seats("wang"), 0)
}

func testRefreshRetakes(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	p.served("wang", 1)
	p.delete(s.SeatsKey("wang"))
	p.later(idle / 2)
	p.push()
	s.Refresh(t.Context())
	same(t, "seats", p.seats("wang"), 1)
	if !p.push().Kept {
		t.Error("not kept although the seat is there again")
	}
}

func testRefreshNeverExceeds(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	p.served("wang", 1)
	p.delete(s.SeatsKey("wang"))
	q.served("wang", 1)
	p.later(idle / 2)
	if !p.push().Kept {
		t.Fatal("not kept")
	}
	s.Refresh(t.Context())
	same(t, "seats", p.seats("wang"), 1)
	if got := p.push(); got.Kept || got.Serving != "" || got.Version != 2 {
		t.Errorf("got %+v, want the conversation taken from an agent who is full", got)
	}
	q.later(idle / 2)
	if !q.push().Kept {
		t.Error("the other conversation was not kept")
	}
}

// A seat that was lost is taken again beside others, as far as the agent has room.
func testRefreshBesideOthers(t *testing.T, b backend) {
	s := b.open(t)
	for agent, capacity := range map[kefu.AgentID]int{"wang": 2, "li": 0} {
		p, q := newPerson(t, s, "p of "+string(agent)), newPerson(t, s, "q of "+string(agent))
		p.served(agent, capacity)
		p.delete(s.SeatsKey(agent))
		q.served(agent, capacity)
		p.later(idle / 2)
		p.push()
		s.Refresh(t.Context())
		same(t, "seats of "+string(agent), p.seats(agent), 2)
		if !p.push().Kept {
			t.Errorf("taken from %s although he has room", agent)
		}
	}
}

func testRefreshUnknownCapacity(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	p.served("wang", 1)
	p.delete(s.SeatsKey("wang"))
	p.delete(s.KnownKey())
	p.later(idle / 2)
	p.push()
	s.Refresh(t.Context())
	same(t, "seats", p.seats("wang"), 0)
	if got := p.push(); got.Kept {
		t.Error("kept although nobody knows whether there is room")
	}
}

// A conversation that was assigned anew before the refresh found the old seat
// lost stays where it is.
func testRefreshOfReassigned(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "p")
	p.served("wang", 1)
	p.later(idle / 2)
	p.push()
	got := p.push(askAgent("cs1", "li"))
	p.seat(1, got.Holds, "li")
	p.settle(got.Conversation, "li")
	p.delete(s.KnownKey())
	s.Refresh(t.Context())
	if got := p.push(); !got.Kept || got.Serving != "li" {
		t.Errorf("got %+v, want li's conversation", got)
	}
}

func testCrashBetweenSeatAndSettle(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "q")
	p.push()
	p.seat(1, "", "wang") // and no more
	q.later(time.Minute)
	if got := q.seat(1, "", "wang"); got.Agent != "" {
		t.Fatalf("seat %+v while it is taken", got)
	}
	p.later(2 * time.Minute)
	got := p.push()
	if got.Kept || got.Version != 0 {
		t.Errorf("got %+v, want it undecided", got)
	}
	if seat := p.seat(1, got.Holds, "wang"); seat.Agent != "wang" || seat.Loads[0].Seats != 1 {
		t.Errorf("seat %+v, want the one that was taken before the crash", seat)
	}
	q.now = p.now.Add(store.SeatFor(idle) + time.Second)
	if got := q.seat(1, "", "wang"); got.Agent != "wang" {
		t.Errorf("seat %+v, want the one that the crash left", got)
	}
}

// A short conversation does not make an agent's long ones end early.
func testSeatsOutliveShortOnes(t *testing.T, b backend) {
	s := b.open(t)
	take := func(user string, idle time.Duration) {
		t.Helper()
		_, err := s.Seat(t.Context(), kefu.SeatRequest{
			Customer: kefu.CustomerID{App: "shop", User: user}, Entry: "cs1", At: start, Idle: idle,
			Candidates: []kefu.SeatCandidate{{Agent: "wang"}},
		})
		if err != nil {
			t.Fatalf("seat: %v", err)
		}
	}
	take("long", 10*time.Hour)
	take("short", time.Minute)
	if ttl, err := s.Client().PTTL(t.Context(), s.SeatsKey("wang")).Result(); err != nil || ttl < 10*time.Hour {
		t.Errorf("the seats are kept for %s, %v; want 10 hours", ttl, err)
	}
}

// What a request took for nothing is given up; not the seat of who serves by
// then, nor one that was taken since.
func testGiveUp(t *testing.T, b backend) {
	s := b.open(t)
	lost, served, again := newPerson(t, s, "lost"), newPerson(t, s, "served"), newPerson(t, s, "again")
	for _, p := range []*person{lost, served, again} {
		p.push()
		p.seat(0, "", "wang")
	}
	served.settle(served.push().Conversation, "wang")
	vacate := func(p *person, at time.Time) {
		err := s.Vacate(t.Context(), kefu.SeatRequest{
			Customer: p.id, At: at, Idle: idle, Candidates: []kefu.SeatCandidate{{Agent: "li"}, {Agent: "wang"}, {}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	vacate(lost, lost.now)
	vacate(served, served.now)
	first := again.now
	again.later(time.Millisecond)
	again.seat(0, "", "wang")
	vacate(again, first)
	if got := again.seats("wang"); got != 2 {
		t.Errorf("wang has %d customers, want the one served and the one who came again", got)
	}
	vacate(again, again.now)
	if got := again.seats("wang"); got != 1 {
		t.Errorf("wang has %d customers, want the one served", got)
	}
}

// Customers are known by the same mark in their keys, in their buckets, where a script
// makes it, in seats and in the queue for one; a push by its digest.
func testOneMark(t *testing.T, b backend) {
	s := b.open(t)
	s.Buckets(1 << 20)
	prefix := strings.TrimSuffix(s.SeatsKey("wang"), ":{agents}:taken:wang")
	list := func(kind string) []string {
		return s.Client().ZRange(t.Context(), prefix+":{agents}:"+kind, 0, -1).Val()
	}
	below := 0
	for i := range 24 {
		p := newPerson(t, s, fmt.Sprintf("oABCD%02d", i))
		p.push()
		p.seat(1, "", "wang")
		p.seat(1, "", "wang")
		sum := sha1.Sum([]byte("shop " + p.id.User))
		number := int64(binary.BigEndian.Uint64(sum[:8]))
		if number < 0 {
			below++
		}
		same(t, "bucket", s.Client().HKeys(t.Context(), s.BucketKey(p.id)).Val(), []string{string(sum[:8])})
		taken := map[bool]string{true: "taken:wang", false: "queue:shop:cs1"}[i == 0]
		if got := list(taken); !slices.Contains(got, strconv.FormatInt(number, 10)) {
			t.Errorf("customer %d: %s has %q, want %d", i, taken, got, number)
		}
		pushed := append(binary.BigEndian.AppendUint64(nil, xxhash.Sum64String("shop "+p.id.User+"\x00"+string(p.last))), sum[0])
		for kind, of := range map[string][]byte{"who": sum[:8], "push": pushed} {
			key := fmt.Sprintf("%s:{%d}:%s:%s", prefix, s.Partition(p.id), kind, base64.RawURLEncoding.EncodeToString(of))
			if n := s.Client().Exists(t.Context(), key).Val(); n != 1 {
				t.Errorf("customer %d: no %s", i, key)
			}
		}
	}
	if below == 0 || below == 24 {
		t.Errorf("%d numbers are below 0, want some", below)
	}
}
