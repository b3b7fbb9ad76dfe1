package router

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// full lets nobody of these take a seat.
func full(ids ...kefu.AgentID) func(kefu.SeatRequest) kefu.Seat {
	return func(r kefu.SeatRequest) kefu.Seat {
		seat := kefu.Seat{Position: 2}
	next:
		for _, c := range r.Candidates {
			seat.Loads = append(seat.Loads, kefu.Load{Agent: c.Agent, Seats: 1})
			for _, id := range ids {
				if c.Agent == id {
					continue next
				}
			}
			return kefu.Seat{Agent: c.Agent, Token: "t-" + string(c.Agent), Loads: seat.Loads}
		}
		return seat
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	late := kefu.Move{From: "wang", Missed: true}
	chosen := func(ids ...kefu.AgentID) kefu.Move { return kefu.Move{From: "wang", To: ids} }
	since := kefu.Move{From: "wang", Missed: true, Since: noon.Add(-time.Minute)}
	handed := []string{"li", "li after last-of-li"}
	tests := []struct {
		name    string
		move    kefu.Move
		there   []kefu.AgentID
		prepare func(s *stage, f *relay)
		want    kefu.Moved
		handed  []string
		left    string // whoever, to whom, missed
		missed  []kefu.AgentID
		notices string
		calls   string
	}{
		{"late: to the next", late, []kefu.AgentID{"wang", "li"}, nil, kefu.Moved{Agent: "li", Brought: true}, handed, "wang>li late", []kefu.AgentID{"wang"}, "reassigned by li", "conversation seat settle"},
		{"refused by his chat: to the next", kefu.Move{From: "wang"}, []kefu.AgentID{"wang", "li"}, nil, kefu.Moved{Agent: "li", Brought: true}, handed, "wang>li", []kefu.AgentID{"wang"}, "reassigned by li", "conversation seat settle"},
		{"nobody is left: he waits, and nobody serves", late, []kefu.AgentID{"wang"}, nil, kefu.Moved{}, nil, "wang> late", []kefu.AgentID{"wang"}, "waiting by  at 1", "conversation seat settle"},
		{"all have missed it", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.conversations[0].Missed = []kefu.AgentID{"li"}
		}, kefu.Moved{}, nil, "wang> late", []kefu.AgentID{"li", "wang"}, "waiting by  at 1", "conversation seat settle"},
		{"the next is full", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) { s.seat = full("li") }, kefu.Moved{}, nil, "wang> late", []kefu.AgentID{"wang"}, "waiting by  at 2", "conversation seat settle"},
		{"the next refuses", late, []kefu.AgentID{"wang", "li"}, func(_ *stage, f *relay) { f.broken["li"] = true }, kefu.Moved{}, []string{"li"}, "wang> late", []kefu.AgentID{"wang"}, "waiting by  at 1", "conversation seat release seat settle"},
		{"chosen by name", chosen("li"), []kefu.AgentID{"wang", "li"}, nil, kefu.Moved{Agent: "li", Brought: true}, handed, "", nil, "reassigned by li", "conversation seat settle"},
		{"what came meanwhile cannot be brought", late, []kefu.AgentID{"wang", "li"}, func(_ *stage, f *relay) { f.deaf = true }, kefu.Moved{Agent: "li"}, handed, "wang>li late", []kefu.AgentID{"wang"}, "reassigned by li", "conversation seat settle"},
		{"chosen, though he has missed it", chosen("li"), []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.conversations[0].Missed = []kefu.AgentID{"li"}
		}, kefu.Moved{Agent: "li", Brought: true}, handed, "", nil, "reassigned by li", "conversation seat settle"},
		{"chosen himself", chosen("wang"), []kefu.AgentID{"wang", "li"}, nil, kefu.Moved{Stays: true, Reason: kefu.ReasonPool}, nil, "", nil, "", "conversation"},
		{"chosen, and not there: stays", chosen("li"), []kefu.AgentID{"wang"}, nil, kefu.Moved{Stays: true, Reason: kefu.ReasonUnknown}, nil, "", nil, "", "conversation"},
		{"chosen, and full: stays", chosen("li"), []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) { s.seat = full("li") }, kefu.Moved{Stays: true, Reason: kefu.ReasonFull}, nil, "", nil, "", "conversation seat"},
		{"chosen, and refuses: stays", chosen("li"), []kefu.AgentID{"wang", "li"}, func(_ *stage, f *relay) { f.broken["li"] = true }, kefu.Moved{Stays: true, Reason: kefu.ReasonRefused}, []string{"li"}, "", nil, "", "conversation seat release"},
		{"a group, of whom nobody is there: stays", chosen("li", "zhao"), []kefu.AgentID{"wang"}, nil, kefu.Moved{Stays: true, Reason: kefu.ReasonPool}, nil, "", nil, "", "conversation"},
		{"chosen, and at WeChat's desk alone: stays", chosen("li"), nil, func(s *stage, _ *relay) {
			s.standing(map[kefu.AgentID]kefu.Standing{"li": {Presence: kefu.PresenceOnline, Account: "li@gh"}})
		}, kefu.Moved{Stays: true, Reason: kefu.ReasonNoWay}, nil, "", nil, "", "conversation"},
		{"somebody else's by now", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.conversations = []kefu.Conversation{served("li")}
		}, kefu.Moved{Agent: "li", Changed: true}, nil, "", nil, "", "conversation"},
		{"nobody's by now", chosen("li"), []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.conversations = []kefu.Conversation{{Entry: "cs1"}}
		}, kefu.Moved{Changed: true}, nil, "", nil, "", "conversation"},
		{"a push came meanwhile", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.settle = []kefu.Settled{{Now: served("wang")}, {Applied: true}}
		}, kefu.Moved{Agent: "li", Brought: true}, []string{"li", "li", "li after last-of-li"}, "li>wang|wang>li late", []kefu.AgentID{"wang"}, "reassigned by li", "conversation seat settle release conversation seat settle"},
		{"a push took it elsewhere meanwhile", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.settle = []kefu.Settled{{Now: served("zhao")}}
			s.conversations = append(s.conversations, served("zhao"))
		}, kefu.Moved{Agent: "zhao", Changed: true}, []string{"li"}, "li>zhao", nil, "", "conversation seat settle release conversation"},
		{"a push gave it to the same meanwhile", late, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.settle = []kefu.Settled{{Now: served("li")}}
			s.conversations = append(s.conversations, served("li"))
		}, kefu.Moved{Agent: "li", Changed: true}, []string{"li"}, "", nil, "", "conversation seat settle conversation"},
		{"he has answered meanwhile", since, []kefu.AgentID{"wang", "li"}, func(s *stage, _ *relay) {
			s.settle = []kefu.Settled{{Now: served("wang"), Met: true}}
		}, kefu.Moved{Agent: "wang", Changed: true}, []string{"li"}, "li>wang", nil, "", "conversation seat settle release seat"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r, f := relaying(t, tt.there...)
			s.conversations = []kefu.Conversation{served("wang")}
			if tt.prepare != nil {
				tt.prepare(s, f)
			}
			tt.move.Customer, tt.move.At = text("1").Customer, noon
			got, err := r.Move(t.Context(), tt.move)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("moved (-want +got):\n%s", diff)
			}
			var handed []string
			for _, h := range f.handed {
				who := string(h.Agent)
				if h.After != "" {
					who += " after " + h.After
				}
				if handed = append(handed, who); h.From != "wang" || h.Entry != "cs1" || h.Customer != tt.move.Customer {
					t.Errorf("handed %+v", h)
				}
			}
			if diff := cmp.Diff(tt.handed, handed); diff != "" {
				t.Errorf("handed to (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.left, leftOf(f)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			for _, st := range s.settled {
				if !st.Waits.Equal(tt.move.Since) {
					t.Errorf("settled if he waits since %v, want %v", st.Waits, tt.move.Since)
				}
			}
			for i, h := range f.left {
				if f.missed[i] && h.Brought != tt.want.Brought {
					t.Errorf("left %+v, brought: want %t", h, tt.want.Brought)
				}
			}
			if diff := cmp.Diff(tt.calls, strings.Join(s.calls, " ")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if tt.notices == "" {
				return
			}
			st := s.settled[len(s.settled)-1]
			if got := noticesOf(st); got != tt.notices {
				t.Errorf("notices %q, want %q", got, tt.notices)
			}
			if diff := cmp.Diff(tt.missed, st.Missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
			if st.Agent != tt.want.Agent || st.Key != "" || st.Version != 5 || st.Record.Kind != "move" || st.Answer.Decided() {
				t.Errorf("settled %+v", st)
			}
			if len(s.givenUp) != 1 || s.givenUp[0].Candidates[0].Agent != "wang" {
				t.Errorf("given up %+v, want the seat of wang", s.givenUp)
			}
		})
	}
}

func leftOf(f *relay) string {
	var left []string
	for i, h := range f.left {
		who := string(h.From) + ">" + string(h.Agent)
		if f.missed[i] {
			who += " late"
		}
		left = append(left, who)
	}
	return strings.Join(left, "|")
}

func noticesOf(st kefu.Settlement) string {
	var all []string
	for _, d := range st.Deliveries {
		line := string(d.Notice) + " by " + string(d.Agent)
		if d.Position > 0 {
			line += " at " + string(rune('0'+d.Position))
		}
		all = append(all, line)
	}
	return strings.Join(all, "|")
}

// Whom an agent chooses stands in for the owner; whoever takes over from one who
// did not answer is a stand-in, too, as at any other time.
func TestMoveKeepsTheOwner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		to       []kefu.AgentID
		borrowed int
	}{{"late", nil, 2}, {"chosen", []kefu.AgentID{"li"}, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r, _ := relaying(t, "wang", "li")
			c := served("wang")
			c.Borrowed = 1
			s.conversations = []kefu.Conversation{c}
			if _, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", To: tt.to, At: noon}); err != nil {
				t.Fatal(err)
			}
			if st := s.settled[0]; st.Owner != "wang" || st.Borrowed != tt.borrowed {
				t.Errorf("owner %s, borrowed %d; want wang, %d", st.Owner, st.Borrowed, tt.borrowed)
			}
		})
	}
}

// A seat is given up for nobody only if nobody has the customer then.
func TestMoveHoldsTheSeat(t *testing.T) {
	t.Parallel()
	for name, to := range map[string][]kefu.AgentID{"late": nil, "chosen": {"li"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r, _ := relaying(t, "wang", "li")
			s.conversations = []kefu.Conversation{served("wang")}
			var asked []kefu.SeatRequest
			s.seat = func(q kefu.SeatRequest) kefu.Seat { asked = append(asked, q); return full("li")(q) }
			if _, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", To: to, At: noon}); err != nil {
				t.Fatal(err)
			}
			if holds := asked[0].Holds; (holds == "wang") != (to == nil) || asked[0].Stays != (to != nil) {
				t.Errorf("asked %+v", asked[0])
			}
		})
	}
}

func TestMoveBreaks(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection refused")
	for _, tt := range []struct {
		breaks  string
		givenUp int
		handed  int
	}{{"conversation", 0, 0}, {"seat", 1, 0}, {"settle", 1, 1}} {
		t.Run(tt.breaks, func(t *testing.T) {
			t.Parallel()
			s, r, f := relaying(t, "wang", "li")
			s.conversations, s.err[tt.breaks] = []kefu.Conversation{served("wang")}, broken
			got, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", Missed: true, At: noon})
			if !errors.Is(err, broken) || got != (kefu.Moved{}) || strings.Contains(err.Error(), "o1") {
				t.Errorf("moved %+v, %v", got, err)
			}
			if len(s.givenUp) != tt.givenUp || len(f.handed) != tt.handed || len(f.left) != 0 {
				t.Errorf("given up %+v, handed %+v, left %+v", s.givenUp, f.handed, f.left)
			}
		})
	}
	t.Run("a contest without end", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		s.conversations, s.settle = []kefu.Conversation{served("wang")}, make([]kefu.Settled, 100)
		_, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", At: noon})
		if err == nil || len(s.settled) != maxContests || len(f.left) != maxContests {
			t.Errorf("%v after %d tries, %d left", err, len(s.settled), len(f.left))
		}
	})
	t.Run("an app that is gone", func(t *testing.T) {
		t.Parallel()
		s, r, _ := relaying(t, "wang", "li")
		for _, app := range []kefu.AppID{"gone", "board"} {
			got, err := r.Move(t.Context(), kefu.Move{Customer: kefu.CustomerID{App: app, User: "o"}, From: "wang", At: noon})
			if err != nil || got != (kefu.Moved{Changed: true}) || len(s.calls) != 0 {
				t.Errorf("moved %+v, %v", got, err)
			}
		}
	})
	t.Run("the entry is gone", func(t *testing.T) {
		t.Parallel()
		s, r, _ := relaying(t, "wang", "li")
		c := served("wang")
		c.Entry = "gone"
		s.conversations = []kefu.Conversation{c}
		if got, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", At: noon.Add(time.Second)}); err != nil || got.Agent != "li" {
			t.Errorf("moved %+v, %v; want it by the default entry", got, err)
		}
	})
}
