package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kefud/kefu"
	"kefud/store"
)

// A record comes back as it was, to the millisecond.
func TestRecord(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom([]string{"", "enter", "presale", "wangwei1", "李四", "taken", "a reason of later", "\n\x00"})
	numbers := rapid.SampledFrom([]int{0, 1, 7, 127, 128, 1 << 40, -1})
	candidate := rapid.Custom(func(t *rapid.T) kefu.Candidate {
		return kefu.Candidate{
			Agent: kefu.AgentID(words.Draw(t, "agent")), Step: numbers.Draw(t, "step"), Group: words.Draw(t, "group"),
			Load: numbers.Draw(t, "load"), Limit: numbers.Draw(t, "limit"), Reason: kefu.Reason(words.Draw(t, "reason")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		r := kefu.Record{
			At: start.Add(time.Duration(numbers.Draw(t, "at")%1000) * time.Millisecond), Kind: words.Draw(t, "kind"),
			Entry: kefu.EntryTag(words.Draw(t, "entry")), Agent: kefu.AgentID(words.Draw(t, "agent")), Owner: kefu.AgentID(words.Draw(t, "owner")),
			Borrowed: numbers.Draw(t, "borrowed"), Reason: kefu.Reason(words.Draw(t, "reason")), Way: words.Draw(t, "way"),
			Position: numbers.Draw(t, "position"),
		}
		if rapid.Bool().Draw(t, "any") {
			r.Candidates = rapid.SliceOfN(candidate, 0, 4).Draw(t, "candidates")
		}
		text := store.EncodeRecord(&r)
		got, err := store.DecodeRecord(text)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		same(t, "record", got, r)
		for n := range len(text) {
			if cut, err := store.DecodeRecord(text[:n]); err == nil {
				t.Errorf("%d of %d bytes are a record: %+v", n, len(text), cut)
			}
		}
		if _, err := store.DecodeRecord(text + "\x00"); err == nil {
			t.Error("a record with something after it is one")
		}
	})
}

// Records of customers lie together, and each is shown his own, for seven days.
func testRecords(t *testing.T, b backend) {
	p := clocked(t, b)
	p.s.Buckets(1)
	people := map[int]*person{}
	for i := 0; len(people) < 2; i++ { // who share a bucket
		if q := newPerson(t, p.s, fmt.Sprint(i)); p.s.Partition(q.id) == p.s.Partition(p.id) {
			people[len(people)] = q
		}
	}
	decide := func(q *person, a kefu.AgentID) {
		t.Helper()
		q.now = p.now
		q.settle(q.push(askAgent("cs1", a)).Conversation, a, func(st *kefu.Settlement) {
			st.Record = &kefu.Record{At: q.now, Kind: "enter", Entry: "cs1", Agent: a}
		})
	}
	shown := func(q *person) string {
		t.Helper()
		var all []string
		for _, r := range q.history().Records {
			all = append(all, string(r.Agent))
		}
		return strings.Join(all, " ")
	}
	decide(people[0], "wang")
	p.later(time.Hour)
	decide(people[1], "li")
	decide(people[0], "zhao")
	same(t, "of the first", shown(people[0]), "zhao wang")
	same(t, "of the second", shown(people[1]), "li")
	p.later(7 * 24 * time.Hour)
	same(t, "after a week", shown(people[0]), "zhao")
	p.later(time.Millisecond)
	same(t, "after that", shown(people[0]), "")
	decide(people[1], "wang")
	if n := p.s.Client().LLen(t.Context(), p.s.RecordsKey(p.id)).Val(); n != 1 {
		t.Errorf("%d records are kept, want the one of today", n)
	}
}

// What is no record is an error, and nothing worse.
func FuzzRecord(f *testing.F) {
	f.Add(store.EncodeRecord(&kefu.Record{At: start, Kind: "enter", Entry: "cs1", Candidates: []kefu.Candidate{{Agent: "wang", Reason: kefu.ReasonTaken}}}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := store.DecodeRecord(text)
		if err != nil {
			return
		}
		again, err := store.DecodeRecord(store.EncodeRecord(&r))
		if err != nil || !cmp.Equal(again, r) {
			t.Errorf("%q is %+v, and comes back as %+v, %v", text, r, again, err)
		}
	})
}
