package store_test

import (
	"fmt"
	"testing"
	"time"

	"kefud/kefu"
)

// reply ends the hearing of a message.
func (c *chat) reply(key kefu.MessageKey, text string, label int, user string) {
	c.Helper()
	h := kefu.Hearsay{Chat: c.id, Key: key, First: c.at(), At: c.at(), Reply: text, Label: label}
	if user != "" {
		h.Customer = of(user)
	}
	if err := c.s.Reply(c.Context(), h); err != nil {
		c.Fatalf("reply: %v", err)
	}
}

// means compares which conversation a message means.
func (c *chat) means(what string, state kefu.SelectState, label int, change ...func(*kefu.Hearing)) kefu.Heard {
	c.Helper()
	got := c.hear(append([]func(*kefu.Hearing){target}, change...)...)
	found := 0
	if got.State == kefu.SelectFound {
		found = got.Target.Label
	}
	if got.State != state || found != label {
		c.Errorf("%s: state %d, target %+v; want state %d, label %d", what, got.State, got.Target, state, label)
	}
	return got
}

func (c *chat) selected() int {
	c.Helper()
	for _, o := range c.opens() {
		if o.Selected {
			return o.Label
		}
	}
	return 0
}

func testHear(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "  一\n二 "+string(make([]rune, 0)))
	c.later(time.Minute)
	got := c.hear(target)
	open := kefu.Open{
		Label: 1, Customer: of("u1"), Entry: "cs1", Waiting: start, Last: start, Line: kefu.Words{Text: "一 二"}, Selected: true,
	}
	same(t, "heard", got, kefu.Heard{
		First: c.at(), State: kefu.SelectFound, Target: open, Opens: []kefu.Open{open},
		Chat: kefu.Chat{ID: c.id, State: kefu.ChatOnline, Until: c.at().Add(48 * time.Hour)},
	})
	same(t, "opens", c.opens(), []kefu.Open{open})
	if got := c.hear(); got.State != kefu.SelectNone || got.Target != (kefu.Open{}) {
		t.Errorf("a message that means no conversation: %+v", got)
	}
	c.reply("x", "ok", 1, "u1")
	open.Waiting, open.Last = time.Time{}, c.at()
	same(t, "answered", c.opens(), []kefu.Open{open})
	c.later(-time.Second)
	c.reply("y", "ok", 1, "u1") // by who is behind
	same(t, "answered again", c.opens()[0].Last, open.Last)
	c.reply("z", "ok", 1, "u2") // has no such label
	c.later(time.Second)
	c.post("u1", "x")
	c.reply("z", "ok", 1, "u2")
	if o := c.opens()[0]; o.Waiting.IsZero() {
		t.Errorf("answered for another: %+v", o)
	}
	c.later(idle + time.Millisecond)
	if o := c.opens()[0]; !o.Over {
		t.Errorf("%+v, want it over", o)
	}
	if got := c.hear(target); !got.Target.Over {
		t.Errorf("%+v, want it over", got.Target)
	}
}

func testHearRepeat(t *testing.T, b backend) {
	c := newChat(t, b)
	h := c.hearing(target)
	c.hearWith(h)
	first := c.at()
	read := func(want string, there bool) {
		t.Helper()
		got, done, err := c.s.HeardReply(t.Context(), c.id, h.Key)
		if got != want || done != there || err != nil {
			t.Errorf("reply %q, %t, %v; want %q, %t", got, done, err, want, there)
		}
	}
	read("", false)
	c.later(h.Takeover)
	h.At = c.at()
	same(t, "while it is worked on", c.hearWith(h), kefu.Heard{Repeat: true, First: first})
	c.later(time.Millisecond)
	h.At = c.at()
	if got := c.hearWith(h); got.Repeat {
		t.Errorf("nobody came to an end: %+v, want it heard anew", got)
	}
	if err := c.s.Unheard(t.Context(), c.id, h.Key); err != nil {
		t.Fatal(err)
	}
	if got := c.hearWith(h); got.Repeat {
		t.Errorf("forgotten: %+v, want it heard anew", got)
	}
	for _, text := range []string{"一\n二\n", ""} {
		c.reply(h.Key, text, 0, "")
		c.later(time.Minute)
		read(text, true)
		same(t, "done", c.hearWith(h), kefu.Heard{Repeat: true, Done: true, First: c.at().Add(-time.Minute), Reply: text})
	}
}

// A message heard again earns nothing more.
func testHearTakeover(t *testing.T, b backend) {
	c := newChat(t, b)
	h := c.hearing()
	until := c.hearWith(h).Chat.Until
	for range 5 {
		c.postWith(c.posting("u1", kefu.Line{Words: words("x"), Part: true}))
	}
	same(t, "messages", c.all(), "x|x|x|x|…")
	c.later(time.Minute / 2)
	h.At = c.at()
	got := c.hearWith(h)
	if got.Repeat || !got.Chat.Until.Equal(until) {
		t.Errorf("heard %+v, want it anew, until %s", got, until)
	}
	c.is("nothing was earned", "", kefu.DrawHeld)
}

// A message whose first hearing came to no end means what it meant then,
// whatever the agent has selected since, or nobody.
func testHearTakeoverTarget(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	c.post("u2", "b")
	h := c.hearing(target)
	if got := c.hearWith(h); got.Target.Customer != of("u1") {
		t.Fatalf("heard %+v, want it for u1", got)
	}
	c.hear(target, func(h *kefu.Hearing) { h.Label, h.Select = 2, true })
	c.later(h.Takeover + time.Second)
	h.At = c.at()
	if got := c.hearWith(h); got.State != kefu.SelectFound || got.Target.Customer != of("u1") {
		t.Errorf("heard again %+v, want it for u1 still", got)
	}
	c.leave("u1", "li")
	c.later(h.Takeover + time.Second)
	h.At = c.at()
	if got := c.hearWith(h); got.State != kefu.SelectLost || got.Lost != 1 {
		t.Errorf("heard a third time %+v, want it for nobody", got)
	}
}

// Whoever is allowed a single message gets his lines by it.
func testSingleAllowance(t *testing.T, b backend) {
	c := newChat(t, b)
	c.hear(func(h *kefu.Hearing) { h.Allowance.AfterMessage = 1 })
	c.post("u1", "a")
	same(t, "messages", c.all(), "a")
	c.post("u1", "b")
	c.is("all is used", "", kefu.DrawHeld)
}

func testHearSilent(t *testing.T, b backend) {
	c := chatAt(t, b.open(t), "wang")
	got := c.hear(silent, target)
	same(t, "of nobody", got, kefu.Heard{First: start, State: kefu.SelectNone, Chat: kefu.Chat{ID: c.id}})
	got = c.hear()
	if !got.Announce || !got.Chat.Until.Equal(start.Add(48*time.Hour)) || got.Chat.State != kefu.ChatOnline {
		t.Errorf("first message %+v, want him online by it", got)
	}
	c.later(time.Hour)
	if got = c.hear(silent); got.Announce || !got.Chat.Until.Equal(start.Add(48*time.Hour)) {
		t.Errorf("silent %+v, want nothing earned", got)
	}
	if got = c.hear(); got.Announce {
		t.Errorf("%+v, want it announced after more than an hour", got)
	}
	c.later(time.Millisecond)
	if got = c.hear(); !got.Announce {
		t.Errorf("%+v, want it announced after more than an hour", got)
	}
	if got := c.state(kefu.ChatBusy); !got.Open(c.at()) || got.State != kefu.ChatBusy || !got.Until.Equal(c.at().Add(48*time.Hour)) {
		t.Errorf("chat %+v", got)
	}
	for _, st := range []kefu.ChatState{kefu.ChatOffline, kefu.ChatOnline, kefu.ChatGone} {
		c.state(st)
		same(t, "state", c.hear().Chat.State, st)
	}
	if got := chatAt(t, c.s, "li").state(kefu.ChatOnline); got.Open(start) {
		t.Errorf("chat %+v, want it closed", got)
	}
}

// The only open conversation is selected by itself, and a message of another
// customer moves nothing.
func testHearSelection(t *testing.T, b backend) {
	c := newChat(t, b)
	c.means("none", kefu.SelectNone, 0)
	c.post("u1", "a")
	same(t, "the only one", c.selected(), 1)
	c.post("u2", "b")
	same(t, "still", c.selected(), 1)
	c.means("bare", kefu.SelectFound, 1)
	c.means("mentioned", kefu.SelectFound, 2, mention(2))
	c.means("bare", kefu.SelectFound, 1)
	c.means("picked", kefu.SelectFound, 2, pick(2))
	c.means("bare", kefu.SelectFound, 2)
	if got := c.means("unknown", kefu.SelectUnknown, 0, pick(7)); got.Target != (kefu.Open{}) {
		t.Errorf("target %+v", got.Target)
	}
	c.post("u1", "a")
	c.post("u3", "c")
	c.means("bare", kefu.SelectFound, 2)
	same(t, "lines", c.all(), "a b a c")

	same(t, "he ends the selected one", c.leave("u2", ""), kefu.Left{Label: 2, WasHis: true})
	c.means("two are left", kefu.SelectMany, 0)
	c.post("u4", "d")
	c.means("three are left", kefu.SelectMany, 0)
	same(t, "he ends another", c.leave("u3", ""), kefu.Left{Label: 3, Dropped: 0})
	same(t, "he ends another", c.leave("u4", ""), kefu.Left{Label: 4, Only: 1, Dropped: 1})
	same(t, "selected", c.selected(), 1)
	c.means("the only one left", kefu.SelectFound, 1)
	c.post("u5", "e")
	same(t, "he ends that, too", c.leave("u1", ""), kefu.Left{Label: 1, Only: 5, WasHis: true})
	c.means("the only one left", kefu.SelectFound, 5)
	same(t, "of none", c.leave("u1", ""), kefu.Left{})
	same(t, "the last", c.leave("u5", "").Label, 5)
	c.means("none", kefu.SelectNone, 0)
}

// A conversation that is over does not count as open, and does not hold the
// selection against the only one that is.
func testHearOver(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	c.later(idle)
	c.post("u2", "b")
	same(t, "selected", c.selected(), 1)
	c.means("not over", kefu.SelectFound, 1)
	c.later(time.Millisecond)
	c.means("over, and selected", kefu.SelectFound, 1)
	c.post("u2", "b")
	same(t, "the only one open", c.selected(), 2)
	c.means("over, by its label", kefu.SelectFound, 1, mention(1))
	c.post("u3", "c")
	c.leave("u2", "")
	c.means("one open, one over", kefu.SelectFound, 3)
	c.later(idle + time.Second)
	c.leave("u3", "")
	c.means("one over", kefu.SelectMany, 0)
}

// A conversation that was selected is taken away: the next message that names
// none goes to nobody.
func testHearLost(t *testing.T, b backend) {
	for _, tt := range []struct {
		name string
		then func(c *chat)
		next kefu.SelectState
		at   int
	}{
		{"nothing is left", func(*chat) {}, kefu.SelectNone, 0},
		{"one is left", func(c *chat) { c.post("u2", "b") }, kefu.SelectFound, 2},
		{"two are left", func(c *chat) { c.post("u2", "b"); c.post("u3", "b") }, kefu.SelectMany, 0},
		{"it comes back", func(c *chat) { c.post("u1", "b") }, kefu.SelectFound, 2},
		{"he writes a command", func(c *chat) { c.hear(); c.post("u2", "b") }, kefu.SelectFound, 2},
		{"he mentions another", func(c *chat) {
			c.post("u2", "b")
			c.means("mentioned", kefu.SelectFound, 2, mention(2))
		}, kefu.SelectFound, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			c.post("u1", "a")
			c.sends("a")
			same(t, "left", c.leave("u1", "李 小姐"), kefu.Left{Label: 1, WasHis: true})
			tt.then(c)
			same(t, "nothing is selected", c.selected(), 0)
			got := c.means("lost", kefu.SelectLost, 0)
			if got.Lost != 1 || got.LostTo != "李 小姐" {
				t.Errorf("heard %+v, want 1, who has it", got)
			}
			same(t, "selected", c.selected(), tt.at)
			c.means("then", tt.next, tt.at)
		})
	}
	c := newChat(t, b)
	c.post("u1", "a")
	c.post("u2", "b")
	c.leave("u1", "li")
	c.means("he picks another", kefu.SelectFound, 2, pick(2))
	c.means("and knows it", kefu.SelectFound, 2)
	c.leave("u2", "li")
	c.post("u3", "c")
	c.leave("u3", "li") // was not selected
	if got := c.means("lost", kefu.SelectLost, 0); got.Lost != 2 {
		t.Errorf("heard %+v, want 2", got)
	}
	c.post("u4", "d")
	c.post("u5", "e")
	c.means("picked", kefu.SelectFound, 4, pick(4))
	c.leave("u5", "li")
	c.means("another was taken", kefu.SelectFound, 4)
}

// A conversation that is taken away while none is selected may be the one that
// the agent means: his next words are for nobody, least of all for who comes next.
func testHearLostUnselected(t *testing.T, b backend) {
	unselected := func(t *testing.T) *chat {
		c := newChat(t, b)
		for _, user := range []string{"u1", "u2", "u3"} {
			c.post(user, "a")
		}
		c.leave("u1", "li")
		c.means("he learns of it", kefu.SelectLost, 0)
		return c
	}
	for _, tt := range []struct {
		name string
		then func(c *chat)
		lost int
		next kefu.SelectState
		at   int
	}{
		{"one, and one stays", func(c *chat) { c.leave("u2", "li") }, 2, kefu.SelectFound, 3},
		{"one after the other", func(c *chat) { c.leave("u2", "li"); c.leave("u3", "li") }, 2, kefu.SelectNone, 0},
		{"all, and another comes", func(c *chat) { c.leave("u2", "li"); c.leave("u3", "li"); c.post("u4", "a") }, 2, kefu.SelectFound, 4},
		{"the only one, and another comes", func(c *chat) {
			c.leave("u2", "li")
			c.means("he learns of it", kefu.SelectLost, 0)
			c.leave("u3", "li")
			c.post("u4", "a")
		}, 3, kefu.SelectFound, 4},
		{"the only one that he left himself, and another comes", func(c *chat) {
			same(t, "he ends one", c.leave("u2", "").Only, 3)
			c.leave("u3", "li")
			c.post("u4", "a")
		}, 3, kefu.SelectFound, 4},
		{"one that is over, and another comes", func(c *chat) {
			c.later(idle + time.Second)
			c.leave("u2", "li")
			c.post("u4", "a")
		}, 2, kefu.SelectFound, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := unselected(t)
			tt.then(c)
			same(t, "selected", c.selected(), 0)
			if got := c.means("lost", kefu.SelectLost, 0); got.Lost != tt.lost {
				t.Errorf("heard %+v, want %d lost", got, tt.lost)
			}
			c.means("then", tt.next, tt.at)
		})
	}
	t.Run("time selects nothing", func(t *testing.T) {
		t.Parallel()
		c := unselected(t)
		c.later(idle)
		c.post("u3", "a")
		c.later(time.Millisecond)
		c.means("one is over by now", kefu.SelectMany, 0)
		c.post("u3", "a")
		c.means("the other writes", kefu.SelectFound, 3)
	})
}

// A conversation that goes to somebody else because it was not certain whether
// the agent has it may be what he answers.
func testHearLostInDoubt(t *testing.T, b backend) {
	for _, doubt := range []bool{false, true} {
		c := newChat(t, b)
		p := c.posting("u1", line("a"))
		last := c.postWith(p).Last
		lane := c.is("on its way", last, kefu.DrawMine).Lane
		c.finish(lane, kefu.Verdict{Outcome: kefu.OutcomeRetry, Doubt: doubt, Ledger: kefu.LedgerSpent, Due: c.at()})
		c.withdraw(p, last, true)
		c.post("u2", "b")
		if !doubt {
			c.means("he has had nothing of it", kefu.SelectFound, 2)
			continue
		}
		same(t, "selected", c.selected(), 0)
		if got := c.means("he may have", kefu.SelectLost, 0); got.Lost != 1 || got.LostTo != "" {
			t.Errorf("heard %+v, want 1 lost, to nobody knows whom", got)
		}
		c.means("then", kefu.SelectFound, 2)
	}
}

func testHearMisses(t *testing.T, b backend) {
	c := newChat(t, b)
	miss := func(user string, want int) {
		t.Helper()
		c.post(user, "a")
		got, err := c.s.Leave(t.Context(), kefu.Leaving{Chat: c.id, Customer: of(user), At: c.at(), Idle: idle, Taken: true, To: "li", Missed: true})
		if err != nil || got.Misses != want {
			t.Errorf("left %+v, %v; want %d misses", got, err, want)
		}
	}
	miss("u1", 1)
	miss("u2", 2)
	c.post("u3", "a")
	same(t, "one that he ends himself", c.leave("u3", "").Misses, 2)
	c.hear()
	miss("u1", 3)
	c.reply("h", "", 0, "")
	miss("u1", 4)
	c.post("u4", "a")
	c.reply("h", "", c.opens()[0].Label, "u4")
	miss("u1", 1)
	c.state(kefu.ChatOnline)
	miss("u1", 1)
}

func testHearHint(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	c.post("u2", "b")
	n := c.posting("u2", note("n"))
	c.postWith(n)
	hints := func() []bool {
		t.Helper()
		var out []bool
		l := c.draw()
		for _, line := range l.Delivery.Lines {
			out = append(out, line.Hint)
		}
		c.finish(l, retry(c.at()))
		return out
	}
	same(t, "hints", hints(), []bool{false, true, false})
	c.hear(pick(2)) // what is sent now is told as it is now
	same(t, "hints", hints(), []bool{true, false, false})
}

func testHearLabels(t *testing.T, b backend) {
	c := newChat(t, b)
	label := func(user string) int {
		t.Helper()
		return c.post(user, "x").Label
	}
	same(t, "first", label("u1"), 1)
	same(t, "stable", label("u1"), 1)
	same(t, "next", label("u2"), 2)
	c.leave("u2", "")
	same(t, "not the one just given", label("u3"), 3)
	same(t, "nor for the same", label("u2"), 4)
	c.leave("u1", "")
	c.leave("u3", "")
	for n := 5; n <= 99; n++ {
		user := fmt.Sprintf("v%d", n)
		same(t, "next", label(user), n)
		if n > 50 {
			c.leave(user, "")
		}
	}
	same(t, "after the last", label("w1"), 1)
	same(t, "4 is open", label("w2"), 2)
	same(t, "4 is open", label("w3"), 3)
	same(t, "4 to 50 are open", label("w4"), 51)
	same(t, "of the list", len(c.opens()), 51)
}

// A label comes round again when its conversation is long over, but never that
// of the selected one: what the agent writes would go to another customer.
func testHearLabelsReused(t *testing.T, b backend) {
	c := newChat(t, b)
	for n := 1; n <= 99; n++ {
		c.post(fmt.Sprintf("u%d", n), "x")
	}
	c.later(48*idle + time.Millisecond)
	same(t, "1 is selected, though over", c.post("a", "x").Label, 2)
	if o := c.opens()[1]; o.Customer != of("a") || o.Label != 2 {
		t.Errorf("conversation %+v, want a's", o)
	}
	c.means("one that is over", kefu.SelectFound, 4, pick(4))
	same(t, "who lost it", c.post("u2", "x").Label, 3)
	same(t, "the selected one is not given away", c.post("b", "x").Label, 5)
	same(t, "who has it", c.opens()[3].Customer, of("u4"))
}

// With all labels in use the next conversation still gets one, and nobody's
// words come under another's.
func testHearLabelsUsedUp(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "x")
	labels := map[string]any{}
	for n := 2; n <= 999; n++ {
		labels[fmt.Sprint(n)] = fmt.Sprintf("shop u%d\ncs1\n\n%d\n", n, start.UnixMilli())
		labels[fmt.Sprintf("=shop u%d", n)] = n
	}
	if err := c.s.Client().HSet(t.Context(), c.s.LabelsKey(c.id), labels).Err(); err != nil {
		t.Fatal(err)
	}
	given := map[int]string{1: "u1"}
	for _, user := range []string{"a", "b", "c", "a"} {
		given[c.post(user, "x").Label] = user
	}
	same(t, "labels given", len(given), 4)
	for _, o := range c.opens() {
		if user := given[o.Label]; user != "" {
			same(t, "customer", o.Customer, of(user))
		}
		if o.Selected != (o.Label == 1) {
			t.Errorf("%+v, want 1 selected", o)
		}
	}
	same(t, "conversations", len(c.opens()), 999)
}
