package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"kefud/kefu"
	"kefud/store"
)

// rests lets rest who may, which are so many.
func (p *person) rests(want int) {
	p.Helper()
	if got, err := p.s.Rest(p.Context()); got != want || err != nil {
		p.Errorf("%d rest from now on, %v; want %d", got, err, want)
	}
}

// resting reports whether the person rests.
func (p *person) resting() bool {
	p.Helper()
	hash, err := p.s.Client().Exists(p.Context(), p.s.CustomerKey(p.id)).Result()
	if err != nil {
		p.Fatalf("look at the customer: %v", err)
	}
	bucket, err := p.s.Client().HVals(p.Context(), p.s.BucketKey(p.id)).Result()
	if err != nil || len(bucket) != 1 {
		p.Fatalf("a bucket of %d, %v; want him alone", len(bucket), err)
	}
	if awake := bucket[0] == " shop "+p.id.User; awake != (hash == 1) {
		p.Errorf("%d hashes, and the bucket says that he is awake: %t", hash, awake)
	}
	return hash == 0
}

func (p *person) conversation() kefu.Conversation {
	p.Helper()
	c, err := p.s.Conversation(p.Context(), p.id, p.now)
	if err != nil {
		p.Fatalf("conversation: %v", err)
	}
	return c
}

// sendsAll delivers what the person is owed, as far as that is allowed.
func (p *person) sendsAll() {
	p.Helper()
	for lanes := p.lease(time.Minute); len(lanes) > 0; lanes = p.lease(time.Minute) {
		v := sent(kefu.LedgerSpent)
		if !lanes[0].Allowed {
			v = kefu.Verdict{Outcome: kefu.OutcomeWait, Due: p.now.Add(sticky)}
		}
		p.finish(lanes[0], v)
	}
}

func testRest(t *testing.T, b backend) {
	p := clocked(t, b)
	got := p.push(askAgent("cs2", "li"))
	p.settle(got.Conversation, "wang", owner("li", 2), owing(p.notice("a"), p.notice("b")))
	p.sendsAll()
	p.later(idle)
	p.rests(0)
	p.later(time.Millisecond)
	before, conversation := p.history(), p.conversation()
	p.rests(1)
	if !p.resting() {
		t.Fatal("he does not rest")
	}
	p.rests(0)
	same(t, "history", p.history(), before)
	same(t, "conversation", p.conversation(), conversation)
	if ttl := p.s.Client().PTTL(t.Context(), p.s.BucketKey(p.id)).Val(); ttl <= sticky-idle || ttl > (sticky+2*time.Hour)*9/8 {
		t.Errorf("the bucket is kept for %s, want the time that is left of %s, and an eighth", ttl, sticky)
	}

	got = p.push()
	if p.resting() {
		t.Error("he rests although he talks")
	}
	want := kefu.Conversation{
		Entry: "cs2", Ask: kefu.Ask{Entry: "cs2", Agent: "li"}, Owner: "li", Borrowed: 2, Entered: p.now, Version: 1,
		Holds: "wang", Held: start,
	}
	same(t, "then", got.Conversation, want)
	same(t, "turn", got.Turn, int64(2))
	p.settle(got.Conversation, "li", owing(p.notice("c")))
	if id := p.one().Delivery.ID; !strings.HasSuffix(id, "-3") {
		t.Errorf("the third delivery is %s", id)
	}
}

// Owners at other entries, and for how long customers stay theirs.
func testRestOfOthers(t *testing.T, b backend) {
	p := clocked(t, b)
	for _, e := range []kefu.EntryTag{"cs1", "cs2"} {
		p.settle(p.push(ask(e, sticky)).Conversation, kefu.AgentID("of"+e), owner(kefu.AgentID("of"+e), 1))
		p.later(time.Hour)
		p.rests(1)
	}
	p.later(sticky - 2*time.Hour)
	if got := p.push(ask("cs1", sticky)); got.Owner != "ofcs1" || got.Borrowed != 1 {
		t.Errorf("back at cs1 %+v, want its owner", got)
	}
	p.later(time.Hour)
	p.rests(1)
	p.later(time.Hour)
	if got := p.push(ask("cs2", sticky)); got.Owner != "" {
		t.Errorf("back at cs2 %+v, want nobody: it was too long ago", got)
	}
}

// Who has something coming does not rest until that is over.
func testRestOfBusy(t *testing.T, b backend) {
	for _, tt := range []struct {
		name string
		busy func(p *person)
		ends func(p *person)
	}{
		{"talks", func(p *person) { p.later(-time.Second) }, func(p *person) { p.later(2 * time.Second) }},
		{"is owed a notice", func(p *person) {
			p.settle(p.conversation(), "wang", owing(p.notice("a")))
		}, (*person).sendsAll},
		{"has to write first", func(p *person) {
			p.settle(p.conversation(), "wang", owing(p.notices(6)...))
			p.sendsAll()
		}, func(p *person) {
			p.push()
			p.sendsAll()
		}},
		{"waits for his agent", func(p *person) {
			p.settle(p.conversation(), "wang", relayed(0))
		}, func(p *person) {
			p.say("wang", "a")
			p.sendsAll()
		}},
		{"waits for so long", func(p *person) {
			p.settle(p.conversation(), "wang", relayed(time.Minute))
		}, func(p *person) {
			p.last = "another"
			p.settle(p.conversation(), "wang")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := clocked(t, b)
			p.push()
			p.later(idle + time.Millisecond)
			p.last = "none"
			tt.busy(p)
			p.rests(0)
			if p.resting() {
				t.Fatal("he rests")
			}
			tt.ends(p)
			p.later(idle + time.Millisecond)
			p.rests(1)
		})
	}
}

// What does not fit stays where it was.
func testRestTooLong(t *testing.T, b backend) {
	p := clocked(t, b)
	long := kefu.AgentID(strings.Repeat("x", 50))
	p.settle(p.push().Conversation, long)
	p.later(idle + time.Second)
	before := p.history()
	p.rests(0)
	same(t, "history", p.history(), before)
	if got := p.push(); got.Owner != long {
		t.Errorf("owner %q", got.Owner)
	}
	p.settle(p.conversation(), "wang")
	p.later(idle + time.Second)
	p.rests(1)
}

// A field that this program does not know of is not lost.
func testRestUnknownField(t *testing.T, b backend) {
	p := clocked(t, b)
	p.push()
	if err := p.s.Client().HSet(t.Context(), p.s.CustomerKey(p.id), "zz", "1").Err(); err != nil {
		t.Fatal(err)
	}
	p.later(idle + time.Second)
	p.rests(0)
	if got := p.s.Client().HGet(t.Context(), p.s.CustomerKey(p.id), "zz").Val(); got != "1" {
		t.Errorf("the field is %q", got)
	}
}

func testRestFull(t *testing.T, b backend) {
	p := clocked(t, b)
	p.push()
	p.later(idle + time.Second)
	p.rests(1)
	text := p.s.Client().HVals(t.Context(), p.s.BucketKey(p.id)).Val()[0]
	p.delete(p.s.BucketKey(p.id))
	var others []any
	for i := range 480 {
		others = append(others, fmt.Sprintf("other%03d", i), text)
	}
	if err := p.s.Client().HSet(t.Context(), p.s.BucketKey(p.id), others...).Err(); err != nil {
		t.Fatal(err)
	}
	p.push()
	p.later(idle + time.Second)
	p.rests(0)
	p.s.Client().HDel(t.Context(), p.s.BucketKey(p.id), "other000")
	p.later(time.Hour)
	p.push()
	p.later(idle + time.Second)
	p.rests(1)
	p.push() // and has his place again
	p.later(idle + time.Second)
	p.rests(1)
}

// twins are two customers of the same name in two stores, one of whom rests; all
// that is asked of both comes out the same.
type twins struct {
	*testing.T
	rested, awake *person
}

func (w twins) both(what string, f func(p *person) any) {
	w.Helper()
	same(w, what, f(w.rested), f(w.awake))
}

// Whatever is asked about one who rests comes out as if he did not, and he is as
// awake after that as he has to be.
func testRestWakes(t *testing.T, b backend) {
	for _, tt := range []struct {
		name  string
		ask   func(p *person) any
		wakes bool
	}{
		{"a message", func(p *person) any { return p.push() }, true},
		{"an enter event", func(p *person) any { return p.push(enter) }, true},
		{"another entry", func(p *person) any { return p.push(ask("cs2", 0)) }, true},
		{"an answer", func(p *person) any { return p.say("wang", "a") }, true},
		{"an answer of somebody else", func(p *person) any { return p.say("li", "a") }, false},
		{"an answer, too late", func(p *person) any {
			p.later(sticky)
			return p.say("wang", "a")
		}, false},
		{"the end", func(p *person) any {
			n := p.notice(kefu.NoticeClosed)
			p.ends("wang", &n, true)
			return p.one().Delivery
		}, true},
		{"the end by somebody else", func(p *person) any { p.ends("li", nil, false); return nil }, false},
		{"a move", func(p *person) any {
			p.last = ""
			st := p.settlement(p.conversation(), "li", owing(p.notice("b")))
			st.Key, st.Answer = "", kefu.Answer{}
			return p.settleWith(st)
		}, true},
		{"a late settlement", func(p *person) any {
			return p.settleWith(p.settlement(kefu.Conversation{Entry: "cs1", Version: 7}, "li"))
		}, false},
		{"the loss of his seat", func(p *person) any { return p.s.Refresh(p.Context()) }, true},
		{"seats given up", func(p *person) any {
			return p.s.Vacate(p.Context(), kefu.SeatRequest{Customer: p.id, At: p.now, Idle: idle, Candidates: []kefu.SeatCandidate{{Agent: "li"}}})
		}, false},
		{"what is buried", func(p *person) any { return p.owedOf(kefu.OwedBuried) }, false},
		{"the retry of it", func(p *person) any {
			r := p.retries(p.owedOf(kefu.OwedBuried)[0], kefu.Revived)
			p.sendsAll()
			return r
		}, true},
		{"the retry of it, too late", func(p *person) any {
			p.later(sticky)
			return p.retries(p.owedOf(kefu.OwedBuried)[0], kefu.RevivalOver)
		}, false},
		{"who is overdue", func(p *person) any { return p.overdue(time.Minute) }, false},
		{"haste", func(p *person) any { got, err := p.s.Hurry(p.Context(), p.id, "wang"); return fmt.Sprint(got, err) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := twins{t, clocked(t, b), clocked(t, b)}
			w.both("before", func(p *person) any {
				p.served("wang", 1)
				n := p.notice("a")
				n.Expires = time.Time{}
				p.settle(p.conversation(), "wang", owner("li", 1), relayed(time.Minute), owing(n), func(st *kefu.Settlement) { st.Replace = true })
				p.buries("unauthorized", 48001)
				p.later(idle / 2)
				p.push(throughRelay) // asks for the seat to be refreshed
				p.say("wang", "hello")
				p.sendsAll()
				if err := p.s.Client().Del(p.Context(), p.s.SeatsKey("wang"), p.s.KnownKey()).Err(); err != nil {
					p.Fatal(err)
				}
				p.later(idle + time.Second)
				return p.conversation()
			})
			w.rested.rests(1)
			w.both(tt.name, tt.ask)
			if got := !w.rested.resting(); got != tt.wakes {
				t.Errorf("awake %t, want %t", got, tt.wakes)
			}
			w.both("conversation", func(p *person) any { return p.conversation() })
			w.both("the next push", func(p *person) any {
				p.later(time.Second)
				return p.push(throughRelay)
			})
			w.both("what is owed", func(p *person) any { return p.owedOf(kefu.OwedWaiting) })
			w.both("the hash", func(p *person) any {
				hash := filled(p)
				const until, pushed = 10, 20 // where ku, which is rounded, and lp begin
				if q := hash["q"]; len(q) > pushed {
					hash["q"] = fmt.Sprintf("calm %t, %s", strings.Trim(q[:until], "0") != "", q[pushed:])
				}
				return hash
			})
			if ttl := w.rested.s.Client().PTTL(t.Context(), w.rested.s.CustomerKey(w.rested.id)).Val(); ttl < sticky {
				t.Errorf("he is kept for %s, want %s at least", ttl, sticky)
			}
		})
	}
}

// A timer that was left behind by a conversation that is over keeps nobody from resting.
func testRestLeftTimer(t *testing.T, b backend) {
	p := clocked(t, b)
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(6*time.Hour))
	p.later(idle + time.Second)
	p.settle(p.push().Conversation, "wang")
	p.later(idle + time.Second)
	p.rests(1)
	if timers := p.s.Client().ZRange(t.Context(), p.s.TimersKey(p.s.Partition(p.id)), 0, -1).Val(); len(timers) > 0 {
		t.Errorf("timers of %q, want none", timers)
	}
}

func testRestIsOneCommand(t *testing.T, b backend) {
	p := clocked(t, b)
	warm(t, p.s)
	p.served("wang", 1)
	p.later(idle + time.Second)
	p.rests(3*p.s.Partitions() + 1)
	p.history()
	check := counted(t, p.s)
	if got := p.push(); got.Owner != "wang" {
		t.Errorf("owner %q", got.Owner)
	}
	check(1, "a push of who rests")
	p.history()
	check(1, "a look")
}

// Looking into all buckets of a beat takes as many round trips as it must: one for
// which there are, and two for what is in up to 64 of them.
func testRestInFewRoundTrips(t *testing.T, b backend) {
	p := clocked(t, b)
	p.s.Buckets(9) // of each partition
	warm(t, p.s)
	p.later(idle + time.Second)
	customers := 3 * p.s.Partitions()
	p.rests(customers)
	sent := 0
	p.s.Commands(func(string) { sent++ })
	p.rests(0)
	if customers > 64 || sent > 3 {
		t.Errorf("%d round trips for %d customers, want 3 for up to 64", sent, customers)
	}
}

// Whose time is over is forgotten.
func testRestOver(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	other := newPerson(t, p.s, "u2")
	p.later(time.Hour)
	p.rests(1)
	other.now = p.now
	other.served("li", 1)
	p.later(sticky - time.Hour)
	p.rests(1)
	p.rests(0)
	if h := p.history(); h.Conversation.Owner != "wang" {
		t.Errorf("history %+v", h)
	}
	p.later(time.Hour + time.Millisecond)
	p.rests(0)
	same(t, "history", p.history(), kefu.History{})
	if got := p.push(); got.Turn != 1 || got.Owner != "" {
		t.Errorf("then %+v, want it as of somebody new", got)
	}
	other.now = p.now
	same(t, "history of the other", other.history().Conversation.Serving, kefu.AgentID("li"))
}

// A hash that was written by a program that let nobody rest.
func testRestBefore(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	p.delete(p.s.BucketKey(p.id))
	p.later(2 * time.Hour)
	p.rests(0)
	if got := p.push(); got.Owner != "wang" {
		t.Errorf("owner %q", got.Owner)
	}
	p.later(idle + time.Second)
	p.rests(1)
}

// One who only enters, long after he last wrote, rests as others do.
func testRestLongAfterWriting(t *testing.T, b backend) {
	p := clocked(t, b)
	const long = 30 * 24 * time.Hour
	p.settle(p.push(ask("cs1", long)).Conversation, "wang", owner("wang", 0), func(st *kefu.Settlement) { st.Sticky = long })
	p.push()
	p.later(allowance.AfterMessageWindow + time.Hour + time.Millisecond)
	p.push(enter)
	p.later(idle + time.Second)
	before := p.conversation()
	p.rests(1)
	same(t, "conversation", p.conversation(), before)
	if before.Owner != "wang" {
		t.Errorf("%+v, want wang's", before)
	}
}

func testRestForget(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	q := newPerson(t, p.s, "u2")
	q.served("li", 1)
	p.later(idle + time.Second)
	p.rests(2)
	if err := p.s.Forget(t.Context(), p.id); err != nil {
		t.Fatalf("forget: %v", err)
	}
	same(t, "history", p.history(), kefu.History{})
	if n := p.s.Client().Exists(t.Context(), p.s.BucketKey(p.id)).Val(); n != 0 {
		t.Error("he is still in his bucket")
	}
	q.push()
	if err := p.s.Forget(t.Context(), q.id); err != nil {
		t.Fatalf("forget: %v", err)
	}
	if n := p.s.Client().Exists(t.Context(), p.s.BucketKey(q.id)).Val(); n != 0 {
		t.Error("one who was awake is still in his bucket")
	}
}

// One of the replicas lets everybody rest, bucket by bucket.
func testRestTurns(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	p.later(idle + time.Second)
	leads := func(d time.Duration) {
		t.Helper()
		if got, err := p.s.Lead(t.Context(), "rest", "another replica", d); !got || err != nil {
			t.Fatalf("lead: %t, %v", got, err)
		}
	}
	_, _, beats := store.RestTurns(1, 0)
	round := func() {
		for range beats {
			p.later(p.s.RestBeat(t.Context()))
		}
	}
	leads(time.Hour)
	round()
	if p.resting() {
		t.Error("he rests although another replica is to see to it")
	}
	leads(time.Millisecond)
	until(t, "the other lead to end", func() bool {
		round()
		return p.resting()
	})
}

// However many let rest, look and receive at once, nothing is lost of anybody.
func testRestRace(t *testing.T, b backend) {
	p := clocked(t, b)
	p.s.Buckets(1)
	p.served("wang", 0)
	pushes := int64(1)
	for round := range b.rounds() {
		p.later(idle + time.Second)
		if round%2 == 0 {
			p.rests(1)
		}
		type seen struct{ turn, turns int64 }
		all := together(func(i int) seen {
			switch i % 4 {
			case 0:
				got, err := p.s.Receive(t.Context(), p.receiptOf(kefu.MessageKey(fmt.Sprintf("%d-%d", round, i))))
				if err != nil || got.Owner != "wang" {
					t.Errorf("received %+v, %v", got, err)
				}
				return seen{turn: got.Turn}
			case 1:
				c, err := p.s.Conversation(t.Context(), p.id, p.now)
				if err != nil || c.Owner != "wang" {
					t.Errorf("conversation %+v, %v", c, err)
				}
				return seen{turns: c.Turns}
			}
			if _, err := p.s.Rest(t.Context()); err != nil {
				t.Errorf("rest: %v", err)
			}
			return seen{}
		})
		turns := map[int64]bool{}
		for _, x := range all {
			if x.turn > 0 && (x.turn <= pushes || turns[x.turn]) {
				t.Fatalf("round %d: turn %d after %d pushes, given before: %t", round, x.turn, pushes, turns[x.turn])
			}
			turns[x.turn] = true
			if x.turns > 0 && x.turns < pushes {
				t.Fatalf("round %d: %d turns after %d pushes", round, x.turns, pushes)
			}
		}
		pushes += racers / 4
		if got := p.conversation().Turns; got != pushes {
			t.Fatalf("round %d: %d turns after %d pushes", round, got, pushes)
		}
	}
}

// Every bucket has one turn in a round, whatever its number.
func TestRestTurns(t *testing.T) {
	t.Parallel()
	for _, buckets := range []int{1, 7, 120, 1024} {
		const began = 1_700_000_003
		_, _, beats := store.RestTurns(buckets, 0)
		seen := make([]int, buckets)
		for beat := range int64(beats) {
			from, to, _ := store.RestTurns(buckets, began+beat)
			for bucket := from; bucket < to; bucket++ {
				seen[bucket]++
			}
		}
		for bucket, n := range seen {
			if n != 1 {
				t.Errorf("%d buckets: bucket %d has %d turns in a round", buckets, bucket, n)
			}
		}
	}
}

// packing is a script that packs a hash (now, then names and values) and reads that again:
// the fields, or nothing if it does not fit.
const packing = `
local c, there = {}, (#ARGV - 1) / 2
for i = 2, #ARGV, 2 do c[ARGV[i]] = ARGV[i + 1] end
local text, out = pack(c, there, tonumber(ARGV[1])), {}
for name, value in pairs(text and unpacked(text) or {}) do out[#out + 1], out[#out + 2] = name, value end
return out`

func packed(t interface {
	Helper()
	Fatal(...any)
}, s *store.Store, script *redis.Script, now int64, hash map[string]string,
) map[string]string {
	t.Helper()
	args := []any{now}
	for name, value := range hash {
		args = append(args, name, value)
	}
	reply, err := script.Eval(context.Background(), s.Client(), nil, args...).StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for pair := range slices.Chunk(reply, 2) {
		got[pair[0]] = pair[1]
	}
	return got
}

// Whatever a customer's hash may hold is read as it was written, but for the hour of ku and
// what means nothing to one who rests.
func testRestPack(t *testing.T, b backend) {
	s := b.open(t)
	roomy := redis.NewScript(strings.Replace(store.Script("whole", "rested", "unpack", "pack"), "= 64, 480", "= 500, 480", 1) + packing)
	rapid.Check(t, func(t *rapid.T) {
		hash, nothing, now := restHash(t)
		all := maps.Clone(hash)
		maps.Copy(all, nothing)
		got := packed(t, s, roomy, now, all)
		until := func(of map[string]string) int64 {
			const hour = 3_600_000
			ku, _ := strconv.ParseInt(of["ku"], 10, 64)
			lp, _ := strconv.ParseInt(of["lp"], 10, 64)
			return (ku - lp + hour - 1) / hour
		}
		if until(got) != until(hash) {
			t.Fatalf("kept for %d hours, want %d", until(got), until(hash))
		}
		delete(got, "ku")
		delete(hash, "ku")
		if !maps.Equal(got, hash) {
			t.Fatalf("%v, want %v", got, hash)
		}
	})
}

// restHash is a hash of one who may rest now, and fields that mean nothing then.
func restHash(t *rapid.T) (hash, nothing map[string]string, now int64) { //nolint:nonamedreturns // two of one kind
	const hour = 3_600_000
	pushed := rapid.Int64Range(1<<40, 1<<42).Draw(t, "pushed")
	now = pushed + idle.Milliseconds() + 1
	hourly := rapid.Map(rapid.Int64Range(-3, 400), func(h int64) int64 { return h * hour })
	around := rapid.OneOf(rapid.Just(int64(0)), hourly, rapid.Int64Range(-1e7, 1e10))
	at := func(name string) string { return strconv.FormatInt(pushed+around.Draw(t, name), 10) }
	some := func(name string, most int64) string {
		return strconv.FormatInt(rapid.Int64Range(1, most).Draw(t, name), 10)
	}
	long := func(name string) string {
		return strconv.FormatInt(rapid.Int64Range(0, 2000).Draw(t, name)*rapid.SampledFrom([]int64{1, 1000, 60_000, hour}).Draw(t, name+"'s unit"), 10)
	}
	word := func(name string) string { return rapid.StringMatching(`[a-z]{1,12}`).Draw(t, name) }
	hash = map[string]string{
		"lp": strconv.FormatInt(pushed, 10), "il": long("il"), "es": long("es"), "e": word("e"),
		"ku": strconv.FormatInt(now+rapid.Int64Range(1, 1e10).Draw(t, "ku"), 10),
	}
	with := func(name string) bool { return rapid.Bool().Draw(t, "with "+name) }
	if with("a sticky time as long as the key is kept") {
		ku, _ := strconv.ParseInt(hash["ku"], 10, 64)
		hash["es"] = strconv.FormatInt(max(0, (ku-pushed+hour-1)/hour-rapid.Int64Range(0, 3).Draw(t, "less"))*hour, 10)
	}
	also := map[string]func(string) string{
		"et": func(string) string { return "1" }, "st": func(string) string { return "1" }, "n": func(string) string { return " hi " },
		"mi": func(string) string { return "li " }, "a": word, "g": word, "sv": word, "se": word, "ow": word, "at": long, "ei": at, "sa": at,
		"o:x": func(name string) string { return "li 1 " + at(name) }, "o:y": func(name string) string { return "wu 0 " + at(name) },
	}
	for name, most := range map[string]int64{"bo": 300, "rc": 1e6, "v": 300, "dn": 300} {
		also[name] = func(name string) string { return some(name, most) }
	}
	for _, name := range slices.Sorted(maps.Keys(also)) {
		if with(name) {
			hash[name] = also[name](name)
		}
	}
	if hash["ow"] != "" && with("his own") {
		hash["sv"], hash["se"] = hash["ow"], hash["e"]
	}
	if with("mu") {
		hash["mn"], hash["mu"] = strconv.Itoa(rapid.SampledFrom([]int{0, 5, 7, 8, 20}).Draw(t, "mn")), at("mu")
	}
	nothing = map[string]string{}
	if with("eu") {
		hash["en"], hash["eu"] = some("en", 9), strconv.FormatInt(now+1+rapid.Int64Range(0, 1e7).Draw(t, "eu"), 10)
	} else if over, _ := strconv.ParseInt(hash["mu"], 10, 64); over > 0 && with("eu that is over") {
		nothing["en"], nothing["eu"] = "1", strconv.FormatInt(min(now, over)-rapid.Int64Range(0, 1e7).Draw(t, "before"), 10)
	}
	for _, name := range []string{"hl", "rm", "re"} {
		if with(name) {
			nothing[name] = "1"
		}
	}
	return hash, nothing, now
}

// What is longer than Redis keeps in one piece does not rest, not by a byte; nor what is
// not as it ought to be.
func testRestPackLimit(t *testing.T, b backend) {
	s := b.open(t)
	script := redis.NewScript(store.Script("whole", "rested", "unpack", "pack") + packing)
	fits := func(n int, tagged string) bool {
		hash := map[string]string{"lp": "1800000000000", "ku": "1800003600000", "il": "60000", "es": "60000", "e": strings.Repeat("e", n)}
		if tagged != "" {
			hash["et"] = tagged
		}
		return len(packed(t, s, script, 1_800_000_100_000, hash)) > 0
	}
	// lp 6 bytes, ku, flags, il, es, rc, v and dn one each, the length of e one, and that of se one.
	const others = 15
	if !fits(64-others, "") || fits(65-others, "") {
		t.Errorf("64 bytes fit: %t, 65: %t", fits(64-others, ""), fits(65-others, ""))
	}
	if !fits(1, "1") || fits(1, "2") {
		t.Error("et is a bit, and no more fits into it")
	}
}
