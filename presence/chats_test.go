package presence

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

var wangChat = kefu.CustomerID{App: "switchboard", User: "oWang"}

// chatOfWang is bound to wang, open for another hour.
func chatOfWang(state kefu.ChatState) kefu.Chat {
	return kefu.Chat{Agent: "wang", ID: wangChat, State: state, Until: noon.Add(time.Hour)}
}

func chatAgent(user string) kefu.Agent {
	return kefu.Agent{ID: "wang", Relay: kefu.Relay{App: "switchboard", User: user}}
}

func TestChatStandings(t *testing.T) {
	t.Parallel()
	desk := func(a kefu.Agent) kefu.Agent { a.Desk = kefu.Desk{App: "shop", Account: "kf1@gh"}; return a }
	manual := func(a kefu.Agent, m kefu.Manual) kefu.Agent { a.Manual = m; return a }
	bound, given := chatAgent(""), chatAgent("oWang")
	online := kefu.Standing{Presence: kefu.PresenceOnline, Relayed: true}
	at := func(s kefu.Standing) kefu.Standing { s.Account = "kf1@gh"; return s }
	leaving, paused := online, online
	leaving.Leaving, paused.Paused = true, true
	offline, unknown := kefu.Standing{Presence: kefu.PresenceOffline}, kefu.Standing{}
	listed := at(kefu.Standing{Presence: kefu.PresenceOnline})
	over := chatOfWang(kefu.ChatOnline)
	over.Until = noon
	tests := []struct {
		name  string
		agent kefu.Agent
		chats []kefu.Chat
		want  kefu.Standing
	}{
		{"online", bound, []kefu.Chat{chatOfWang(kefu.ChatOnline)}, online},
		{"busy", bound, []kefu.Chat{chatOfWang(kefu.ChatBusy)}, paused},
		{"offline, and served to the end", bound, []kefu.Chat{chatOfWang(kefu.ChatOffline)}, leaving},
		{"gone", bound, []kefu.Chat{chatOfWang(kefu.ChatGone)}, offline},
		{"his time is over", bound, []kefu.Chat{over}, offline},
		{"not bound", bound, nil, unknown},
		{"bound elsewhere", bound, []kefu.Chat{{Agent: "wang", ID: kefu.CustomerID{App: "other", User: "oWang"}, Until: noon.Add(time.Hour)}}, unknown},
		{"another's", bound, []kefu.Chat{{Agent: "li", ID: wangChat, State: kefu.ChatOnline, Until: noon.Add(time.Hour)}}, unknown},
		{"given by the configuration", given, []kefu.Chat{chatOfWang(kefu.ChatOnline)}, online},
		{"given, and never heard of", given, nil, offline},
		{"given, and bound to another chat", chatAgent("oOther"), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, offline},
		{"at a desk, too", desk(bound), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, at(online)},
		{"at a desk, busy in his chat", desk(bound), []kefu.Chat{chatOfWang(kefu.ChatBusy)}, at(paused)},
		{"at a desk, and his chat is over", desk(bound), []kefu.Chat{over}, listed},
		{"at a desk, and gone", desk(bound), []kefu.Chat{chatOfWang(kefu.ChatGone)}, listed},
		{"at a desk, not bound", desk(bound), nil, listed},
		{"at a desk, given and never heard of", desk(given), nil, listed},
		{"said online", manual(bound, kefu.Manual{State: kefu.ManualOnline}), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, online},
		{"said online, offline in his chat", manual(bound, kefu.Manual{State: kefu.ManualOnline}), []kefu.Chat{chatOfWang(kefu.ChatOffline)}, leaving},
		{"said online, and cannot be reached", manual(bound, kefu.Manual{State: kefu.ManualOnline}), []kefu.Chat{over}, offline},
		{"said paused", manual(bound, kefu.Manual{State: kefu.ManualPaused}), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, paused},
		{"said away", manual(bound, kefu.Manual{State: kefu.ManualAway}), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, kefu.Standing{Presence: kefu.PresenceAway}},
		{"was away", manual(bound, kefu.Manual{State: kefu.ManualAway, Until: noon}), []kefu.Chat{chatOfWang(kefu.ChatOnline)}, online},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, _ := still(newTables(t, tt.agent))
			b.keepStored(map[kefu.AppID]kefu.OnlineList{"shop": {At: noon, Agents: []kefu.Listed{{Account: "kf1@gh"}}}})
			b.store.(*fakeStore).chats = tt.chats
			if err := b.readChats(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := b.Roster(noon)
			if diff := cmp.Diff(tt.want, r.Standing("shop", "wang")); diff != "" {
				t.Errorf("standing (-want +got):\n%s", diff)
			}
			// His chat is with every app's customers, his desk with those of one.
			want := tt.want
			if tt.agent.Desk.App != "" && !want.Relayed {
				want = kefu.Standing{}
			}
			if diff := cmp.Diff(want, r.Standing("mall", "wang")); diff != "" {
				t.Errorf("standing at another app (-want +got):\n%s", diff)
			}
			if got := r.Standing("switchboard", "wang"); got != (kefu.Standing{}) {
				t.Errorf("stands at the switchboard: %+v", got)
			}
		})
	}
}

// What is known grows old: by itself at the instant that WeChat takes nothing
// more for him, and if the store does not tell anew.
func TestChatsAge(t *testing.T) {
	t.Parallel()
	b, now := still(newTables(t, chatAgent("")))
	s := b.store.(*fakeStore)
	c := chatOfWang(kefu.ChatOnline)
	c.Until = noon.Add(10 * time.Second)
	s.chats = []kefu.Chat{c}
	is := func(after time.Duration, want kefu.Presence) {
		t.Helper()
		*now = noon.Add(after)
		if got := b.Roster(*now).Standing("shop", "wang").Presence; got != want {
			t.Errorf("after %v: %s, want %s", after, got, want)
		}
		if got, want := b.Knows(*now), want != kefu.PresenceUnknown; got != want {
			t.Errorf("after %v: chats are known: %t, want %t", after, got, want)
		}
	}
	is(0, kefu.PresenceUnknown)
	if err := b.readChats(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(0, kefu.PresenceOnline)
	is(10*time.Second-1, kefu.PresenceOnline)
	is(10*time.Second, kefu.PresenceOffline)
	is(chatsLast-1, kefu.PresenceOffline)
	is(chatsLast, kefu.PresenceUnknown)
	s.chats[0].Until = noon.Add(time.Hour)
	s.down = errDown
	if err := b.readChats(t.Context()); err == nil {
		t.Error("a store that is down is read")
	}
	is(chatsLast, kefu.PresenceUnknown)
	s.down = nil
	if err := b.readChats(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(chatsLast, kefu.PresenceOnline)
	is(2*chatsLast, kefu.PresenceUnknown)
}

func TestWhoseChat(t *testing.T) {
	t.Parallel()
	relay := func(id kefu.AgentID, app kefu.AppID, user string) kefu.Agent {
		return kefu.Agent{ID: id, Relay: kefu.Relay{App: app, User: user}}
	}
	b, _ := still(newTables(t, relay("wang", "switchboard", ""), relay("li", "switchboard", "oLi"), relay("zhao", "switchboard", ""), relay("none", "", "")))
	at := func(user string) kefu.CustomerID { return kefu.CustomerID{App: "switchboard", User: user} }
	open := func(agent kefu.AgentID, user string) kefu.Chat {
		return kefu.Chat{Agent: agent, ID: at(user), State: kefu.ChatOnline, Until: noon.Add(time.Hour)}
	}
	b.store.(*fakeStore).chats = []kefu.Chat{
		open("wang", "oWang"), open("li", "oOther"), open("zhao", "oLi"), open("none", "oNone"), open("left", "oLeft"),
	}
	if err := b.readChats(t.Context()); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]kefu.AgentID{
		"oWang": "wang", "oLi": "li", "oOther": "", "oNone": "", "oLeft": "", "oNobody": "", "": "",
	} {
		if got := b.AgentOf(at(user)); got != want {
			t.Errorf("the chat of %s is %q's, want %q", user, got, want)
		}
	}
	if got := b.AgentOf(kefu.CustomerID{App: "other", User: "oWang"}); got != "" {
		t.Errorf("the same openid in another app is %q's", got)
	}
	for agent, want := range map[kefu.AgentID]kefu.Chat{
		"wang": open("wang", "oWang"),
		"li":   {Agent: "li", ID: at("oLi")}, // what is known is of another chat
		"zhao": {},                           // the configuration gives it to li
		"none": {}, "left": {}, "nobody": {},
	} {
		if diff := cmp.Diff(want, b.Chat(agent)); diff != "" {
			t.Errorf("chat of %s (-want +got):\n%s", agent, diff)
		}
	}
	r := b.Roster(noon)
	if r.Standing("shop", "zhao") != (kefu.Standing{}) || !r.Standing("shop", "wang").Relayed {
		t.Errorf("zhao stands as %+v, wang as %+v", r.Standing("shop", "zhao"), r.Standing("shop", "wang"))
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	b, _ := still(newTables(t, chatAgent(""), kefu.Agent{ID: "li", Relay: kefu.Relay{App: "switchboard"}}))
	b.Keep(chatOfWang(kefu.ChatOnline))
	if !b.Roster(noon).Standing("shop", "wang").Relayed {
		t.Error("what is kept is not known at once")
	}
	b.Keep(chatOfWang(kefu.ChatBusy))
	if !b.Roster(noon).Standing("shop", "wang").Paused {
		t.Error("what is kept then is not known at once")
	}
	c := chatOfWang(kefu.ChatOnline)
	c.Agent = "li"
	b.Keep(c)
	if b.AgentOf(wangChat) != "li" || b.Chat("wang") != (kefu.Chat{}) {
		t.Errorf("the chat is %q's, and wang has %+v; want it li's alone", b.AgentOf(wangChat), b.Chat("wang"))
	}
}

// What is kept while the store is read is newer than what comes of that.
func TestKeepDuringReading(t *testing.T) {
	t.Parallel()
	b, _ := still(newTables(t, chatAgent("")))
	s := b.store.(*fakeStore)
	s.chats = []kefu.Chat{chatOfWang(kefu.ChatOffline)}
	read := func() kefu.ChatState {
		t.Helper()
		if err := b.readChats(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b.Chat("wang").State
	}
	s.reading = func() { b.Keep(chatOfWang(kefu.ChatOnline)) }
	if got := read(); got != kefu.ChatOnline {
		t.Errorf("%s, want what was kept", got)
	}
	s.reading = nil
	if got := read(); got != kefu.ChatOffline {
		t.Errorf("%s, want what the store says since", got)
	}
}

func TestRunReadsChats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ts := newFakeStore(), newTables(t, chatAgent(""))
		stop := run(t, New(Options{Table: ts.Load, Store: s, Lister: &fakeLister{}}))
		after(10 * time.Second)
		stop()
		if s.chatReads < 7 || s.chatReads > 13 {
			t.Errorf("read %d times in 10 s, want about 10", s.chatReads)
		}
		table, err := kefu.NewTable([]kefu.App{{ID: "shop"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ts.Store(table)
		before := s.chatReads
		stop = run(t, New(Options{Table: ts.Load, Store: s, Lister: &fakeLister{}}))
		after(5 * time.Second)
		stop()
		if s.chatReads != before {
			t.Errorf("read %d times without a switchboard", s.chatReads-before)
		}
	})
}
