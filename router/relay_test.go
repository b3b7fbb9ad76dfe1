package router

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// A relay notes whom it brings what, and refuses for those who are broken.
type relay struct {
	broken   map[kefu.AgentID]bool
	sent     []kefu.AgentID // by Forward
	forwards []kefu.Forwarding
	deaf     bool // for what comes after a handover
	handed   []kefu.Handover
	left     []kefu.Handover
	missed   []bool // of left
}

func (r *relay) Forward(_ context.Context, f kefu.Forwarding) error {
	r.sent, r.forwards = append(r.sent, f.Agent), append(r.forwards, f)
	if r.broken[f.Agent] {
		return errors.New("refused")
	}
	return nil
}

func (r *relay) Handover(_ context.Context, h kefu.Handover) (string, error) {
	r.handed = append(r.handed, h)
	if r.broken[h.Agent] || (r.deaf && h.After != "") {
		return "", errors.New("refused")
	}
	return "last-of-" + string(h.Agent), nil
}

func (r *relay) Leave(_ context.Context, h kefu.Handover, missed bool) {
	r.left, r.missed = append(r.left, h), append(r.missed, missed)
}

// inChat has the agents reached in their own chats.
func (s *stage) inChat(ids ...kefu.AgentID) {
	standings := map[kefu.AgentID]kefu.Standing{}
	for _, id := range ids {
		standings[id] = kefu.Standing{Presence: kefu.PresenceOnline, Relayed: true}
	}
	s.standing(standings)
}

func (s *stage) standing(standings map[kefu.AgentID]kefu.Standing) {
	s.roster = kefu.NewRoster(2, map[kefu.AppID]map[kefu.AgentID]kefu.Standing{"shop": standings})
}

// relaying sets a stage with the agents in their own chats.
func relaying(t *testing.T, ids ...kefu.AgentID) (*stage, *Router, *relay) {
	t.Helper()
	s, r := open(t)
	f := &relay{broken: map[kefu.AgentID]bool{}}
	r.relay = f
	s.inChat(ids...)
	return s, r, f
}

// served is a conversation that an agent has.
func served(by kefu.AgentID) kefu.Conversation {
	return kefu.Conversation{Entry: "cs1", Serving: by, Owner: by, Live: true, Holds: by, Version: 5, Turns: 9}
}

func byRelay(by kefu.AgentID) kefu.Answer { return kefu.Answer{Way: kefu.WayRelay, Agent: by} }

func TestRelay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		broken map[kefu.AgentID]bool
		sent   []kefu.AgentID
		want   kefu.Answer
	}{
		{"the first accepts", nil, []kefu.AgentID{"wang"}, byRelay("wang")},
		{"the first refuses", map[kefu.AgentID]bool{"wang": true}, []kefu.AgentID{"wang", "li"}, byRelay("li")},
		{"all refuse", map[kefu.AgentID]bool{"wang": true, "li": true}, []kefu.AgentID{"wang", "li"}, kefu.Answer{Way: kefu.WayPlain}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r, f := relaying(t, "wang", "li")
			f.broken = tt.broken
			d := r.Route(t.Context(), text("1"))
			if d.Answer != tt.want {
				t.Errorf("answer %+v, want %+v", d.Answer, tt.want)
			}
			if diff := cmp.Diff(tt.sent, f.sent); diff != "" {
				t.Errorf("sent to (-want +got):\n%s", diff)
			}
			if len(s.released) != len(tt.broken) {
				t.Errorf("released %d seats, want %d", len(s.released), len(tt.broken))
			}
		})
	}
}

func TestRelayOfServingAgent(t *testing.T) {
	t.Parallel()
	kept := func(kefu.Receipt) (kefu.Received, error) {
		return kefu.Received{Conversation: served("wang"), Turn: 3, Kept: true, Answer: byRelay("wang")}, nil
	}
	m := text("1")
	m.Text = "hello"
	t.Run("accepts", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		s.received = kept
		if d := r.Route(t.Context(), m); d.Answer != byRelay("wang") || d.Reason != kefu.ReasonKept || len(s.settled) != 0 {
			t.Errorf("%+v, settled %+v", d, s.settled)
		}
		want := []kefu.Forwarding{{Message: *m, Entry: "cs1", Agent: "wang", Kept: true, Turn: 3, At: noon}}
		if diff := cmp.Diff(want, f.forwards); diff != "" {
			t.Errorf("forwarded (-want +got):\n%s", diff)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		f.broken["wang"] = true
		s.received = kept
		if d := r.Route(t.Context(), m); d.Agent != "li" || !s.settled[0].Replace {
			t.Errorf("%+v, settled %+v: want li in the place of wang", d, s.settled)
		}
		if len(f.left) != 1 || f.left[0].From != "wang" || f.left[0].Agent != "li" || f.missed[0] {
			t.Errorf("left %+v, want wang told that li has it", f.left)
		}
		if last := f.forwards[1]; last.From != "wang" || last.Kept {
			t.Errorf("forwarded %+v, want li told that it comes from wang", last)
		}
		if words := s.settled[0].Words; words != (kefu.Words{}) {
			t.Errorf("settled with %+v: what he said is written down twice", words)
		}
	})
	t.Run("refuses, and so do all", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		f.broken["wang"], f.broken["li"] = true, true
		s.received = kept
		if d := r.Route(t.Context(), m); d.Answer != (kefu.Answer{Way: kefu.WayPlain}) || !s.settled[0].Replace || s.settled[0].Agent != "" {
			t.Errorf("%+v, settled %+v: want WeChat's desk in the place of wang", d, s.settled)
		}
		if len(f.left) != 2 || f.left[0].From != "wang" || f.left[1].From != "li" || f.left[0].Agent != "" {
			t.Errorf("left %+v, want both told that nobody here has it", f.left)
		}
	})
	t.Run("a new conversation is written down once", func(t *testing.T) {
		t.Parallel()
		s, r, _ := relaying(t, "wang")
		r.Route(t.Context(), m)
		if got := s.settled[0].Words.Text; got != "hello" {
			t.Errorf("settled with the words %q", got)
		}
	})
	t.Run("moved by a tap", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		s.received = func(kefu.Receipt) (kefu.Received, error) {
			c := served("li")
			c.Owner, c.Live = "", false // of another entry
			return kefu.Received{Conversation: c, Turn: 3}, nil
		}
		if d := r.Route(t.Context(), enter("")); d.Agent != "wang" {
			t.Errorf("%+v, want wang", d)
		}
		if len(f.left) != 1 || f.left[0].From != "li" || f.left[0].Agent != "wang" || !f.left[0].Unread {
			t.Errorf("left %+v, want li to keep what he has not had, which wang was not brought", f.left)
		}
	})
	t.Run("another push was first", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		s.settle = []kefu.Settled{{Now: served("li")}, {Applied: true}}
		if d := r.Route(t.Context(), m); d.Answer != byRelay("li") {
			t.Errorf("%+v, want li", d)
		}
		if diff := cmp.Diff([]kefu.AgentID{"wang", "li"}, f.sent); diff != "" {
			t.Errorf("sent to (-want +got):\n%s", diff)
		}
		if !f.forwards[1].Kept || len(f.left) != 1 || f.left[0].From != "wang" || f.left[0].Agent != "li" {
			t.Errorf("forwarded %+v, left %+v", f.forwards, f.left)
		}
	})
}

// Whoever has said that he goes, pauses, or has not answered is not asked; who is
// served by him stays.
func TestRelayNotAsked(t *testing.T) {
	t.Parallel()
	online := kefu.Standing{Presence: kefu.PresenceOnline, Relayed: true}
	leaving, paused := online, online
	leaving.Leaving, paused.Paused = true, true
	tests := []struct {
		name     string
		standing kefu.Standing
		missed   []kefu.AgentID
		want     kefu.Reason
	}{
		{"offline, with conversations", leaving, nil, kefu.ReasonOffline},
		{"busy", paused, nil, kefu.ReasonPaused},
		{"has not answered", online, []kefu.AgentID{"wang"}, kefu.ReasonMissed},
		{"offline, and has not answered", leaving, []kefu.AgentID{"wang"}, kefu.ReasonOffline},
		{"another has not answered", online, []kefu.AgentID{"li"}, kefu.ReasonTaken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r, f := relaying(t)
			s.standing(map[kefu.AgentID]kefu.Standing{"wang": tt.standing, "li": online})
			s.received = fresh(kefu.Conversation{Missed: tt.missed, Live: true})
			r.Route(t.Context(), text("1"))
			st := s.settled[0]
			if got := st.Record.Candidates[0].Reason; got != tt.want {
				t.Errorf("wang: %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.missed, st.Missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
			if first := f.sent[0] == "wang"; first != (tt.want == kefu.ReasonTaken) {
				t.Errorf("sent to %q", f.sent)
			}
			var reach kefu.Reach
			s.received = func(rec kefu.Receipt) (kefu.Received, error) {
				reach = rec.Reach
				return kefu.Received{Conversation: served("wang"), Kept: true, Answer: byRelay("wang")}, nil
			}
			if r.Route(t.Context(), text("2")); reach.Answer("wang") != byRelay("wang") {
				t.Errorf("reach %q, want that he keeps whom he has", reach)
			}
		})
	}
}

// The repeat of a relayed push is relayed again: whoever was at it may have died.
func TestRelayRepeats(t *testing.T) {
	t.Parallel()
	first := noon.Add(-time.Second)
	repeated := func(kefu.Receipt) (kefu.Received, error) {
		return kefu.Received{Repeat: true, First: first, Answer: byRelay("wang")}, nil
	}
	t.Run("relayed", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang", "li")
		s.received, s.conversations = repeated, []kefu.Conversation{served("wang")}
		want := kefu.Decision{Answer: byRelay("wang"), At: first, Agent: "wang", Reason: kefu.ReasonRepeat, Repeat: true}
		for range 3 {
			if diff := cmp.Diff(want, r.Route(t.Context(), text("1"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		for _, got := range f.forwards {
			if diff := cmp.Diff(kefu.Forwarding{Message: *text("1"), Entry: "cs1", Agent: "wang", Kept: true, Turn: 9, At: noon}, got); diff != "" {
				t.Errorf("forwarded (-want +got):\n%s", diff)
			}
		}
		if len(f.forwards) != 3 || len(s.settled) != 0 || len(s.released) != 0 {
			t.Errorf("forwarded %d times, settled %+v: nothing else is done twice", len(f.forwards), s.settled)
		}
	})
	for _, tt := range []struct {
		name    string
		prepare func(s *stage, f *relay)
		want    kefu.Decision
	}{
		{
			"given to another meanwhile",
			func(s *stage, f *relay) {
				f.broken["wang"] = true
				s.lookups = []kefu.Received{{Repeat: true, Answer: byRelay("wang")}, {Repeat: true, Answer: kefu.Answer{Way: kefu.WayNamed, Agent: "li", Account: "li@gh"}}}
			},
			kefu.Decision{Answer: named("li"), Agent: "li"},
		},
		{
			"given to WeChat's desk meanwhile",
			func(s *stage, f *relay) {
				f.broken["wang"] = true
				s.lookups = []kefu.Received{{Repeat: true, Answer: kefu.Answer{Way: kefu.WayPlain}}}
			},
			kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}},
		},
		{
			"given to nobody",
			func(_ *stage, f *relay) { f.broken["wang"] = true },
			kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, Degraded: true, Cause: kefu.CauseRelay},
		},
		{
			"the store is down",
			func(s *stage, _ *relay) {
				s.err["conversation"], s.err["lookup"] = errors.New("refused"), errors.New("refused")
			},
			kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, Degraded: true, Cause: kefu.CauseRelay},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r, f := relaying(t, "wang", "li")
				r.now = time.Now
				s.received = func(rec kefu.Receipt) (kefu.Received, error) {
					return kefu.Received{Repeat: true, First: rec.At, Answer: byRelay("wang")}, nil
				}
				tt.prepare(s, f)
				start := time.Now()
				d := r.Route(t.Context(), text("1"))
				if d.Answer != tt.want.Answer || d.Agent != tt.want.Agent || d.Degraded != tt.want.Degraded || d.Cause != tt.want.Cause || !d.Repeat {
					t.Errorf("%+v, want %+v", d, tt.want)
				}
				if took := time.Since(start); took > r.budget+2*lookAgain || tt.want.Degraded && took < r.budget {
					t.Errorf("took %v of %v", took, r.budget)
				}
			})
		})
	}
	t.Run("no time is left", func(t *testing.T) {
		t.Parallel()
		s, r, f := relaying(t, "wang")
		s.received, f.broken["wang"] = repeated, true
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := r.Route(ctx, text("1")); d.Answer != (kefu.Answer{Way: kefu.WayPlain}) || d.Cause != kefu.CauseRelay {
			t.Errorf("%+v, want a plain transfer", d)
		}
	})
}

// Without a relay nobody is reached by it, whatever the board says.
func TestNoRelay(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	s.inChat("wang", "li")
	if d := r.Route(t.Context(), text("1")); d.Answer != (kefu.Answer{Way: kefu.WayPlain}) {
		t.Errorf("%+v, want a plain transfer", d)
	}
	s.conversations = []kefu.Conversation{served("wang")}
	moved, err := r.Move(t.Context(), kefu.Move{Customer: text("1").Customer, From: "wang", At: noon})
	if err != nil || moved != (kefu.Moved{}) {
		t.Errorf("moved %+v, %v", moved, err)
	}
}
