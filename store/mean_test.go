package store_test

import (
	"testing"
	"time"

	"kefud/kefu"
)

func said(at time.Time) func(*kefu.Hearing) { return func(h *kefu.Hearing) { h.Said = at } }

// A message that names no conversation, and was written before the selected one
// became that, is for nobody: he meant another.
func testHearWrittenBefore(t *testing.T, b backend) {
	for _, tt := range []struct {
		name   string
		change func(c *chat)
	}{
		{"he selects another", func(c *chat) { c.means("picked", kefu.SelectFound, 2, pick(2), said(c.at())) }},
		{"he ends the selected one", func(c *chat) { c.leave("u1", "") }},
		{"it is taken from him", func(c *chat) {
			c.leave("u1", "李")
			c.means("lost", kefu.SelectLost, 0, said(c.at()))
		}},
		{"it is over, and another comes", func(c *chat) {
			c.leave("u2", "")
			c.later(idle + time.Second)
			c.post("u2", "b")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			c.post("u1", "a")
			c.post("u2", "b")
			c.means("before", kefu.SelectFound, 1, said(c.at()))
			c.later(10 * time.Second)
			tt.change(c)
			label := c.selected()
			if label < 2 {
				t.Fatalf("selected is %d", label)
			}
			c.means("written long before", kefu.SelectMany, 0, said(c.at().Add(-5*time.Second)))
			c.means("written in that second", kefu.SelectFound, label, said(c.at()))
			c.means("written who knows when", kefu.SelectFound, label)
			c.means("which one is said", kefu.SelectFound, label, mention(label), said(c.at().Add(-5*time.Second)))
			c.means("selected again", kefu.SelectFound, label, pick(label), said(c.at().Add(time.Minute)))
			c.means("that changes nothing", kefu.SelectFound, label, said(c.at()))
		})
	}
}

// What he wrote when he had another conversation, or none, is not for a customer who
// has come since, although that is the only one there is: the push of it was late.
func testHearWrittenBeforeTheOnlyOne(t *testing.T, b backend) {
	for _, tt := range []struct {
		name   string
		change func(c *chat)
	}{
		{"he ended it", func(c *chat) { c.leave("u1", "") }},
		{"it was taken from him", func(c *chat) { c.leave("u1", "李") }},
		{"it was taken from him, and he was told", func(c *chat) {
			c.leave("u1", "李")
			c.later(5 * time.Second)
			c.means("lost", kefu.SelectLost, 0, said(c.at().Add(-6*time.Second)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			c.post("u1", "a")
			c.later(10 * time.Second)
			tt.change(c)
			written := c.at().Add(-2 * time.Second)
			c.later(10 * time.Second)
			c.post("u2", "b")
			if got := c.hear(target, said(written)); got.State == kefu.SelectFound {
				t.Errorf("written for u1 and meant for %+v", got.Target)
			}
			c.later(10 * time.Second)
			c.means("written for who came", kefu.SelectFound, 2, said(c.at()))
		})
	}
}

// A message that was for nobody when it was first heard is for nobody when it is
// heard again.
func testHearTakeoverOfLost(t *testing.T, b backend) {
	for _, tt := range []struct {
		name   string
		before func(c *chat)
		want   kefu.SelectState
	}{
		{"lost", func(c *chat) { c.leave("u1", "李\n四|x") }, kefu.SelectLost},
		{"many", func(c *chat) { c.post("u3", "c"); c.leave("u1", "") }, kefu.SelectMany},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			c.post("u1", "a")
			c.post("u2", "b")
			tt.before(c)
			h := c.hearing(target)
			first := c.hearWith(h)
			if first.State != tt.want {
				t.Fatalf("heard %+v, want state %d", first, tt.want)
			}
			c.means("he selects", kefu.SelectFound, 2, pick(2))
			c.later(h.Takeover + time.Second)
			h.At = c.at()
			again := c.hearWith(h)
			if again.State != tt.want || again.Lost != first.Lost || again.Target.Customer != first.Target.Customer {
				t.Errorf("heard again %+v, want it as %+v", again, first)
			}
			if tt.want == kefu.SelectLost && again.LostTo != "李 四|x" {
				t.Errorf("lost to %q", again.LostTo)
			}
		})
	}
}

// What a customer says while his conversation is ended is still read by somebody.
func testLeaveKeeps(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	c.sends("a")
	c.post("u1", "b")
	got, err := c.s.Leave(t.Context(), kefu.Leaving{Chat: c.id, Customer: of("u1"), At: c.at(), Idle: idle, Keeps: true})
	if err != nil || got.Label != 1 || got.Dropped != 0 {
		t.Fatalf("left %+v, %v", got, err)
	}
	same(t, "conversations", len(c.opens()), 0)
	c.sends("b")
}

// A posting is withdrawn whether it has been written or not, and however much of
// it is left.
func testChatWithdrawAnyway(t *testing.T, b backend) {
	c := newChat(t, b)
	p := c.posting("u1", line("a"))
	c.withdraw(p, "", true)
	if got := c.postWith(p); got.State != kefu.PostWithdrawn {
		t.Errorf("posted after that %+v, want it withdrawn", got)
	}
	p = c.posting("u1", kefu.Line{Words: words("b"), Part: true}, kefu.Line{Words: words("c"), Part: true})
	c.postWith(p)
	c.post("u1", "d")
	c.sends("b")
	c.withdraw(p, "", true)
	same(t, "then", c.all(), "d")
}

// The repeat of a push has another turn than its lines.
func testChatWithdrawRepeat(t *testing.T, b backend) {
	c := newChat(t, b)
	p := c.posting("u1", line("a"), line("b"))
	got := c.postWith(p)
	c.post("u1", "c")
	p.Turn = 1 << 40
	c.withdraw(p, got.Last, true)
	same(t, "then", c.all(), "c")
}
