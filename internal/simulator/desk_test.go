package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// honoring is a mini-program whose desk goes by KfAccount.
func honoring() AccountOptions {
	o := account()
	o.Naming = NamingHonoured
	return o
}

func TestQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	li := w.agent(t, "li", AgentOptions{})
	c, d := w.Customer(w.account, "oOne"), w.Customer(w.account, "oTwo")
	say(t, c, "一")
	say(t, d, "一")
	if r := say(t, c, "二"); len(r.Attempts) != 1 {
		t.Error("a message of somebody in the queue did not come to the URL")
	}
	w.server.answer = success
	say(t, c, "三") // not transferred, so the queue has it not
	w.want(t, c, "queued", "queued", "lost")
	if q := w.account.Waiting(); len(q) != 2 || q[0] != c {
		t.Errorf("the queue is %v", q)
	}
	li.SetOnline(true)
	w.want(t, c, "agent li", "agent li", "lost")
	w.want(t, d, "agent li")
	if len(w.account.Waiting()) != 0 || len(li.Serving()) != 2 {
		t.Error("somebody still waits")
	}
	if sum := w.Accounted(); sum.Reached != 3 || sum.Lost != 1 || sum.Alone != 1 || !sum.AddsUp() {
		t.Errorf("account = %+v", sum)
	}
}

func TestServedGoesStraightToTheDesk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	li := w.agent(t, "li", AgentOptions{Online: true})
	c := w.Customer(w.account, "oOne")
	say(t, c, "一")
	before := len(w.server.pushes())
	if r := say(t, c, "二"); len(r.Attempts) != 0 || r.Reach.Agent != "li" {
		t.Errorf("result = %+v", r)
	}
	if !li.Say(c, "您好") || c.Inbox()[0].From != FromDesk {
		t.Error("the agent cannot answer")
	}
	li.SetOnline(false)
	say(t, c, "三") // his session stays his
	if len(w.server.pushes()) != before {
		t.Error("messages were pushed although an agent serves")
	}
	if _, err := c.Tap(t.Context(), "cs1"); err != nil || len(w.server.pushes()) != before+1 {
		t.Error("the event was not pushed")
	}
	if !li.Close(c) || li.Close(c) || li.Say(c, "还在?") {
		t.Error("closing a session")
	}
	say(t, c, "四")
	w.want(t, c, "agent li", "agent li", "agent li", "queued")
	if sum := w.Accounted(); sum.Straight != 2 || !sum.Well() {
		t.Errorf("account = %+v", sum)
	}
}

func TestSessionEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.agent(t, "li", AgentOptions{Online: true, Capacity: 1})
	c, d := w.Customer(w.account, "oOne"), w.Customer(w.account, "oTwo")
	say(t, c, "一")
	say(t, d, "一") // li is full
	w.want(t, d, "queued")
	w.clock.pass(29 * time.Minute)
	if r := say(t, c, "二"); len(r.Attempts) != 0 {
		t.Error("pushed in the 29th minute")
	}
	w.clock.pass(time.Minute)
	w.want(t, d, "agent li")
	if r := say(t, c, "三"); len(r.Attempts) != 1 || r.Reach.Fate != FateQueued {
		t.Errorf("not pushed in the 31st minute: %+v", r)
	}
}

func TestLeastBusyTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.agent(t, "li", AgentOptions{Online: true, Capacity: 2})
	w.agent(t, "wang", AgentOptions{Online: true})
	w.agent(t, "off", AgentOptions{})
	hand := w.agent(t, "hand", AgentOptions{Online: true, Manual: true})
	want := []string{"agent li", "agent wang", "agent li", "agent wang", "agent wang"}
	for i, fate := range want {
		c := w.Customer(w.account, string(rune('a'+i)))
		say(t, c, "一")
		w.want(t, c, fate)
	}
	w.agents["wang"].SetOnline(false)
	c := w.Customer(w.account, "last")
	say(t, c, "一")
	w.want(t, c, "queued")
	if !hand.Take(c) || hand.Take(c) {
		t.Error("taking by hand")
	}
	w.want(t, c, "agent hand")
}

func TestNamedTransfer(t *testing.T) {
	t.Parallel()
	official := account()
	official.Kind = OfficialAccount
	ignoring, refusing := account(), account()
	refusing.Naming = NamingFault
	tests := []struct {
		name  string
		o     AccountOptions
		named AgentOptions
		to    string
		want  string
	}{
		{"honored", honoring(), AgentOptions{Online: true}, "wang", "agent wang"},
		{"official account", official, AgentOptions{Online: true}, "wang", "agent wang"},
		{"offline strands", official, AgentOptions{}, "wang", "stranded wang"},
		{"full strands", honoring(), AgentOptions{Online: true, Capacity: 1}, "wang", "stranded wang"},
		{"by hand strands", honoring(), AgentOptions{Online: true, Manual: true}, "wang", "stranded wang"},
		{"ignored: the pool", ignoring, AgentOptions{}, "wang", "agent li"},
		{"no such account: the pool", official, AgentOptions{}, "nobody", "agent li"},
		{"a fault", refusing, AgentOptions{Online: true}, "wang", "fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, tt.o)
			wang := w.agent(t, "wang", tt.named)
			if tt.named.Capacity == 1 {
				say(t, w.Customer(w.account, "oFirst"), "一") // the pool gives him to wang
				if len(wang.Serving()) != 1 {
					t.Fatal("wang is not full")
				}
			}
			w.agent(t, "li", AgentOptions{Online: true})
			w.server.answer = transfer(tt.to + "@gh_1a2b3c")
			c := w.Customer(w.account, "oOne")
			say(t, c, "一")
			w.want(t, c, tt.want)
		})
	}
}

func TestStranded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, honoring())
	wang, li := w.agent(t, "wang", AgentOptions{}), w.agent(t, "li", AgentOptions{Online: true})
	w.server.answer = first(1, transfer("wang@gh_1a2b3c"), transfer(""))
	c := w.Customer(w.account, "oOne")
	say(t, c, "一")
	if r := say(t, c, "二"); len(r.Attempts) != 1 { // nobody else serves him
		t.Error("a stranded customer's message did not come to the URL")
	}
	w.want(t, c, "stranded wang", "stranded wang")
	if li.Take(c) {
		t.Error("another agent took him")
	}
	if sum := w.Accounted(); sum.Stranded != 2 || sum.Alone != 1 || sum.Well() {
		t.Errorf("account = %+v", sum)
	}
	wang.SetOnline(true)
	w.want(t, c, "agent wang", "agent wang")
	wang.SetOnline(false)
	wang.Close(c)

	w.server.answer = first(1, transfer("wang@gh_1a2b3c"), transfer(""))
	say(t, c, "三")
	w.clock.pass(31 * time.Minute) // the attachment does not last longer than a session
	say(t, c, "四")
	w.want(t, c, "agent wang", "agent wang", "stranded wang", "agent li")
}

func TestNamedWhileQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, honoring())
	w.agent(t, "wang", AgentOptions{Online: true, Capacity: 1})
	c, d := w.Customer(w.account, "oOne"), w.Customer(w.account, "oTwo")
	say(t, c, "一")
	say(t, d, "一")
	w.agents["wang"].SetOnline(false)
	w.agents["wang"].Close(c)
	w.server.answer = transfer("wang@gh_1a2b3c")
	say(t, d, "二")
	w.want(t, d, "stranded wang", "stranded wang")
	if len(w.account.Waiting()) != 0 {
		t.Error("he is in the queue and at an agent")
	}
}

func TestTransferOfAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.server.answer = func(_ *http.Request, h heard) answer { return h.seal(h.transfer()) }
	r, err := w.Customer(w.account, "oOne").Tap(t.Context(), "cs1")
	if err != nil || r.Attempts[0].Wrong != "a transfer in answer to an event" || len(w.account.Waiting()) != 0 {
		t.Errorf("result = %+v, %v", r, err)
	}
}

func TestAcceptDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now, AcceptDelay: 3 * time.Second}, account())
		w.agent(t, "li", AgentOptions{Online: true})
		c := w.Customer(w.account, "oOne")
		start := time.Now()
		say(t, c, "一")
		w.want(t, c, "queued")
		err := w.Await(t.Context(), func() bool { return c.Reached()[0].Fate == FateAgent })
		if took := time.Since(start); err != nil || took != 3*time.Second {
			t.Errorf("taken after %s, %v", took, err)
		}
	})
}
