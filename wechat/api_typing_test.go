package wechat

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

func fakeAPITyping(t *testing.T, c *Client) error {
	t.Helper()
	return c.Typing(t.Context(), kefu.CustomerID{App: "shop", User: fakeAPIUser})
}

func TestTypingOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		official bool
		path     string
	}{
		{false, "/cgi-bin/message/custom/business/typing"},
		{true, "/cgi-bin/message/custom/typing"},
	} {
		f := newFakeAPI(t)
		c := f.client(func(o *ClientOptions) { o.Apps[0].Official = tc.official })
		fakeAPIWarm(t, f, c, fakeAPIAnswers(`{"errcode":0,"errmsg":"ok"}`))
		if err := fakeAPITyping(t, c); err != nil {
			t.Fatal(err)
		}
		calls := f.seen("/typing")
		want := `{"touser":"` + fakeAPIUser + `","command":"Typing"}`
		if len(calls) != 1 || calls[0].Path != tc.path || calls[0].Method != http.MethodPost || string(calls[0].Body) != want || calls[0].Type != typeJSON {
			t.Errorf("official %v: %+v", tc.official, calls)
		}
	}
}

func TestTypingRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request) bool
		reason string
	}{
		{"no exchange", fakeAPIAnswers(`{"errcode":45080}`), "typing"},
		{"typing already", fakeAPIAnswers(`{"errcode":45081}`), "typing"},
		{"bad command", fakeAPIAnswers(`{"errcode":45072}`), "bad_request"},
		{"window over", fakeAPIAnswers(`{"errcode":45015}`), "out_of_window"},
		{"not allowed", fakeAPIAnswers(`{"errcode":48001}`), "unauthorized"},
		{"not for this app", fakeAPIAnswers(`{"errcode":43104}`), "unauthorized"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			c := f.client()
			fakeAPIWarm(t, f, c, tc.answer)
			for range 2 * breakerLimit { // each is an answer
				e := fakeAPIError(t, fakeAPITyping(t, c))
				if e.Op != "typing" || e.Reason() != tc.reason || e.Retryable() || e.MaybeSent() {
					t.Fatalf("error %v, retryable %v, maybe sent %v", e, e.Retryable(), e.MaybeSent())
				}
			}
			f.wantCalls("custom/typing", 0) // no falling back
			f.wantCalls("business/typing", 2*breakerLimit)
		})
	}
}

// A path that WeChat does not know stops the hints and nothing else.
func TestTypingBreaker(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	var lines bytes.Buffer
	c := f.client(func(o *ClientOptions) { o.Logger = zerolog.New(&lines) })
	fakeAPIWarm(t, f, c, func(w http.ResponseWriter, _ *http.Request) bool {
		fakeAPIWrite(http.StatusNotFound, "<html>T0K3N "+fakeAPIUser)(w, nil)
		return true
	})
	for range breakerLimit {
		e := fakeAPIError(t, fakeAPITyping(t, c))
		if e.Reason() != "bad_answer" || e.Status != http.StatusNotFound || e.MaybeSent() {
			t.Fatalf("error %v", e)
		}
		fakeAPIHidden(t, e.Error())
	}
	if e := fakeAPIError(t, fakeAPITyping(t, c)); e.Reason() != "breaker_open" {
		t.Errorf("error %v", e)
	}
	f.wantCalls("business/typing", breakerLimit)
	f.wantCalls("custom/typing", 0)
	fakeAPIHidden(t, lines.String())
	f.set(func(f *fakeAPI) { f.before = nil })
	if err := fakeAPISend(t, c); err != nil {
		t.Errorf("a message after that: %v", err)
	}
}

func TestTypingToNobody(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	if e := fakeAPIError(t, c.Typing(t.Context(), kefu.CustomerID{App: "shop"})); e.Reason() != "bad_request" {
		t.Errorf("error %v", e)
	}
	if e := fakeAPIError(t, c.Typing(t.Context(), kefu.CustomerID{App: "none", User: "o"})); e.Reason() != "unknown_app" {
		t.Errorf("error %v", e)
	}
	f.wantCalls("", 0)
}
