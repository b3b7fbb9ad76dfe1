package store_test

import (
	"fmt"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

const inviteFor = 10 * time.Minute

// invites lets an agent bind a chat from now on.
func (c *chat) invites(a kefu.AgentID, code string, d time.Duration) {
	c.Helper()
	err := c.s.Invite(c.Context(), kefu.Invitation{Agent: a, App: "switchboard", Code: code, At: c.at(), For: d})
	if err != nil {
		c.Fatalf("invite: %v", err)
	}
}

func (c *chat) binds(code string, want kefu.Bound) {
	c.Helper()
	got, err := c.s.Bind(c.Context(), c.id, code, c.at(), c.at().Add(48*time.Hour))
	if got != want || err != nil {
		c.Errorf("bind with %q: %+v, %v; want %+v", code, got, err, want)
	}
}

func whose(t testing.TB, c *chat, want kefu.AgentID) {
	t.Helper()
	if got, err := c.s.Whose(t.Context(), c.id); got != want || err != nil {
		t.Errorf("chat %s is %q's, %v; want %q", c.id.User, got, err, want)
	}
}

func (c *chat) announces(k kefu.Chat, given bool) {
	c.Helper()
	if err := c.s.Announce(c.Context(), k, given); err != nil {
		c.Fatalf("announce: %v", err)
	}
}

func chats(t testing.TB, s *store.Store, want ...kefu.Chat) {
	t.Helper()
	got, err := s.Chats(t.Context())
	if err != nil {
		t.Fatalf("chats: %v", err)
	}
	if len(got)+len(want) > 0 {
		same(t, "chats", got, want)
	}
}

func testBind(t *testing.T, b backend) {
	s := b.open(t)
	c, other, newcomer := chatAt(t, s, "o1"), chatAt(t, s, "o2"), chatAt(t, s, "o4")
	done, wrong := kefu.Bound{Agent: "wang"}, kefu.Bound{State: kefu.BindWrong}
	whose(t, c, "")
	chats(t, s)
	c.binds("AAAAAA", wrong)
	newcomer.invites("wang", "AAAAAA", inviteFor)
	newcomer.invites("wang", "BBBBBB", inviteFor)
	c.binds("AAAAAA", wrong)
	c.binds("BBBBBB", done)
	whose(t, c, "wang")
	first := kefu.Chat{Agent: "wang", ID: c.id, State: kefu.ChatOnline, Until: start.Add(48 * time.Hour)}
	chats(t, s, first)
	same(t, "state", c.hear(silent).Chat.State, kefu.ChatOnline)
	other.binds("BBBBBB", wrong)
	c.binds("BBBBBB", done) // whose chat it is by that code
	for code, want := range map[string]bool{"AAAAAA": false, "BBBBBB": true} {
		if got, err := s.Invited(t.Context(), "switchboard", code); got != want || err != nil {
			t.Errorf("%s is a code: %t, %v; want %t", code, got, err, want)
		}
	}

	// An invitation lasts as long as it says, whatever others do.
	newcomer.invites("li", "CCCCCC", inviteFor)
	newcomer.invites("zhao", "DDDDDD", time.Minute)
	other.later(inviteFor - time.Millisecond)
	other.binds("CCCCCC", kefu.Bound{Agent: "li"})
	newcomer.invites("zhao", "DDDDDD", time.Minute)
	c.later(time.Minute)
	c.binds("DDDDDD", wrong)

	// A chat is one agent's, until it is taken from him.
	c.invites("zhao", "EEEEEE", inviteFor)
	c.binds("EEEEEE", kefu.Bound{State: kefu.BindTaken, Agent: "wang"})
	c.invites("wang", "FFFFFF", inviteFor)
	c.binds("FFFFFF", done)
	third := chatAt(t, s, "o3")
	newcomer.invites("wang", "GGGGGG", inviteFor)
	third.binds("GGGGGG", done)
	whose(t, c, "")
	whose(t, third, "wang")
	c.binds("EEEEEE", kefu.Bound{Agent: "zhao"})
	unbind(t, s, "zhao", true)
	unbind(t, s, "zhao", false)
	whose(t, c, "")
	first.ID = third.id
	chats(t, s, kefu.Chat{Agent: "li", ID: other.id, State: kefu.ChatOnline, Until: other.at().Add(48 * time.Hour)}, first)
}

func unbind(t testing.TB, s *store.Store, a kefu.AgentID, want bool) {
	t.Helper()
	if got, err := s.Unbind(t.Context(), a); got != want || err != nil {
		t.Errorf("unbind: %t, %v; want %t", got, err, want)
	}
}

func testBindGuesses(t *testing.T, b backend) {
	s := b.open(t)
	wrong, tooMany := kefu.Bound{State: kefu.BindWrong}, kefu.Bound{State: kefu.BindTooMany}
	c := chatAt(t, s, "o1")
	c.invites("wang", "AAAAAA", inviteFor)
	for range 5 {
		c.binds("BBBBBB", wrong)
	}
	c.binds("AAAAAA", tooMany)
	for i := range 95 {
		chatAt(t, s, fmt.Sprintf("g%d", i)).binds("BBBBBB", wrong)
	}
	other := chatAt(t, s, "o2")
	other.binds("AAAAAA", tooMany)
	elsewhere := chatAt(t, s, "o1")
	elsewhere.id.App = "another"
	elsewhere.binds("AAAAAA", wrong)
	for _, key := range allKeys(t, s) {
		if ttl, err := s.Client().PTTL(t.Context(), key).Result(); err != nil || (ttl > inviteFor && !isInvite(key)) {
			t.Errorf("TTL of %s: %s, %v", key, ttl, err)
		}
	}
}

func isInvite(key string) bool {
	return key[len(key)-len(":invites:switchboard"):] == ":invites:switchboard"
}

// Codes are used once, however many send them at once.
func testBindOnce(t *testing.T, b backend) {
	s := b.open(t)
	chatAt(t, s, "o1").invites("wang", "AAAAAA", inviteFor)
	done := 0
	for _, bound := range together(func(i int) bool {
		got, err := s.Bind(t.Context(), kefu.CustomerID{App: "switchboard", User: fmt.Sprint(i)}, "AAAAAA", start, start)
		if err != nil {
			t.Errorf("bind: %v", err)
		}
		return err == nil && got.State == kefu.BindDone
	}) {
		if bound {
			done++
		}
	}
	same(t, "bound", done, 1)
}

func testAnnounce(t *testing.T, b backend) {
	s := b.open(t)
	c, given := chatAt(t, s, "o1"), chatAt(t, s, "o2")
	k := kefu.Chat{Agent: "wang", ID: c.id, State: kefu.ChatBusy, Until: start}
	c.announces(k, false)
	chats(t, s) // nothing is bound
	c.invites("wang", "AAAAAA", inviteFor)
	c.binds("AAAAAA", kefu.Bound{Agent: "wang"})
	for _, st := range []kefu.ChatState{kefu.ChatOffline, kefu.ChatOnline, kefu.ChatBusy, kefu.ChatGone} {
		k.State = st
		c.announces(k, false)
		chats(t, s, k)
	}
	li := k
	li.Agent = "li"
	c.announces(li, false)
	chats(t, s, k) // it is not li's

	// The configuration gives him another.
	k.ID = given.id
	c.announces(k, true)
	chats(t, s, k)
	whose(t, c, "")
	old := k
	old.ID = c.id
	c.announces(old, false)
	chats(t, s, k)
	// And nobody else can have it.
	c.invites("li", "BBBBBB", inviteFor)
	given.binds("BBBBBB", kefu.Bound{State: kefu.BindTaken, Agent: "wang"})
	unbind(t, s, "wang", true)
	given.binds("BBBBBB", kefu.Bound{Agent: "li"})
	if err := s.Client().HSet(t.Context(), s.ChatsKey(), "x", "broken").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Chats(t.Context()); err == nil {
		t.Error("a broken chat is read")
	}
	if err := s.Client().HSet(t.Context(), s.ChatsKey(), "x", "a b online x").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Chats(t.Context()); err == nil {
		t.Error("a broken chat is read")
	}
}
