package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// board is the official account in which agents chat.
func board() AccountOptions {
	return AccountOptions{
		Name: "board", Kind: OfficialAccount, AppID: "wx0000000000000001", Secret: "secret", OriginalID: "gh_board", Token: "token",
		AESKey: sampleKey, Targets: []string{"http://server.test/wechat/board"},
	}
}

// send sends a push and returns what came of it.
func send(t *testing.T, p *Push) Result {
	t.Helper()
	r, err := p.Send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFollow(t *testing.T) {
	t.Parallel()
	var told []string
	w := newWorld(t, Options{OnEvent: func(e Event) {
		if e.Kind != Pushed && e.Kind != Repushed && e.Kind != Answered {
			told = append(told, strings.TrimSpace(string(e.Kind)+" "+e.Text))
		}
	}}, board())
	w.server.answer = success
	c := w.Customer(w.account, "oAgent")
	tries := func(when string, want ...int) {
		t.Helper()
		token := w.token(t)
		var got []int
		for range want {
			got = append(got, w.text(t, token, "oAgent", "x"))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	tries("nothing done", 45015)
	if r := send(t, c.Follow()); r.Reach.Fate != FateNone {
		t.Errorf("follow: %+v", r)
	}
	tries("followed", 0, 0, 0, 45047)
	w.clock.pass(time.Minute + time.Second)
	tries("a minute later", 45015)
	say(t, c, "上线")
	tries("wrote", 0)
	leave := c.Unfollow()
	tries("about to leave", 0)
	send(t, leave)
	tries("left", 45015)
	typing := "/cgi-bin/message/custom/typing?access_token=" + w.token(t)
	if out := w.call(t, http.MethodPost, typing, `{"touser":"oAgent","command":"Typing"}`); code(out) != 45015 {
		t.Errorf("typing: %v", out)
	}
	say(t, c, "在吗") // whoever has left is not asked back by it
	tries("wrote, and does not follow", 45015)
	send(t, c.Follow())
	tries("came back", 0, 0, 0, 45047)
	if _, err := leave.Repush(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(t, c, "回来了")
	tries("wrote again", 0, 0, 0, 0, 0, 45047)

	pushed := w.server.pushes()
	for i, want := range map[int]string{0: "subscribe", 2: "unsubscribe", 4: "subscribe"} {
		if h := pushed[i]; h.text("MsgType") != "event" || h.text("Event") != want || !strings.Contains(h.body, "<EventKey><![CDATA[]]></EventKey>") || h.text("MsgId") != "" {
			t.Errorf("push %d: %s", i, h.body)
		}
	}
	want := strings.Repeat("delivered x|", 3)
	want = "followed|" + want + "said 上线|delivered x|delivered x|left|said 在吗|followed|" + want + "said 回来了|" + strings.Repeat("delivered x|", 5)
	if got := strings.Join(told, "|") + "|"; got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
}

func TestWhoHasLeftGetsNoPassiveText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, board())
	w.server.answer = func(_ *http.Request, h heard) answer {
		return h.seal(append(replace(h.transfer(), "MsgType", "text"), Field{"Content", "再见"}))
	}
	c := w.Customer(w.account, "oAgent")
	send(t, c.Unfollow())
	if in := c.Inbox(); len(in) != 0 {
		t.Errorf("inbox = %+v", in)
	}
}

func TestMiniProgramsHaveNoFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	c := w.Customer(w.account, "oOne")
	for _, p := range []*Push{c.Follow(), c.Unfollow()} {
		if _, err := p.Send(t.Context()); err == nil || !strings.Contains(err.Error(), "followers") {
			t.Errorf("sent: %v", err)
		}
	}
}

func TestOtherEventsGrantNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, board())
	w.server.answer = success
	send(t, w.Customer(w.account, "oAgent").Raw(Fields{{"MsgType", "event"}, {"Event", "VIEW"}, {"EventKey", "https://a.test"}}))
	if got := w.text(t, w.token(t), "oAgent", "x"); got != 45015 {
		t.Errorf("answer = %d", got)
	}
}
