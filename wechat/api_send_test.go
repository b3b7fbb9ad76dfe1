package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestSendTextOnTheWire(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	for _, tc := range []struct{ name, text, want string }{
		// What silenceper/wechat v2.1.12 makes of NewCustomerTextMessage, for
		// mini-programs and for official accounts.
		{"as the SDK writes it", "hi", `{"touser":"` + fakeAPIUser + `","msgtype":"text","text":{"content":"hi"}}`},
		{"Chinese and markup as they are", fakeAPIText, `{"touser":"` + fakeAPIUser + `","msgtype":"text","text":{"content":"您的订单 <a href=\"https://example.com/?a=1&b=2\">已发货</a>"}}`},
		{"line breaks", "a\r\nb\u2028c\td", `{"touser":"` + fakeAPIUser + `","msgtype":"text","text":{"content":"a\nb\nc\td"}}`},
		{"control characters and broken UTF-8", "a\x00\x1bb\xe4\xbdc", `{"touser":"` + fakeAPIUser + `","msgtype":"text","text":{"content":"ab` + "\ufffd\ufffd" + `c"}}`},
		{"outside the basic plane", "好的😀", `{"touser":"` + fakeAPIUser + `","msgtype":"text","text":{"content":"好的😀"}}`},
	} {
		if err := c.SendText(t.Context(), kefu.CustomerID{App: "shop", User: fakeAPIUser}, tc.text); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		calls := f.seen("/cgi-bin/message/custom/send")
		got := calls[len(calls)-1]
		if string(got.Body) != tc.want {
			t.Errorf("%s: body %q, want %q", tc.name, got.Body, tc.want)
		}
		if got.Method != http.MethodPost || got.Token != f.current || got.Type != "application/json; charset=utf-8" {
			t.Errorf("%s: %s with token %q and type %q", tc.name, got.Method, got.Token, got.Type)
		}
	}
}

func TestSendTextOfNothing(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	for _, tc := range []struct{ user, text string }{{"", "hi"}, {fakeAPIUser, ""}, {fakeAPIUser, " \x00\n"}} {
		e := fakeAPIError(t, c.SendText(t.Context(), kefu.CustomerID{App: "shop", User: tc.user}, tc.text))
		if e.Reason() != "bad_request" || e.Retryable() || e.MaybeSent() {
			t.Errorf("SendText(%q, %q): %v", tc.user, tc.text, e)
		}
	}
	f.wantCalls("", 0)
}

// fakeAPIFault is one way in which a call can end badly.
type fakeAPIFault struct {
	name      string
	answer    func(w http.ResponseWriter, r *http.Request)
	reason    string
	status    int
	code      int
	maybeSent bool
	retry     bool
	after     time.Duration // at most; at least three quarters of it
	gone      bool          // the allowance
	onceMore  bool          // a call without an effect is repeated
}

func fakeAPIWrite(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// fakeAPIFaults repeat what they were sent wherever they can, as a server does
// that is out to make us log it.
func fakeAPIFaults() []fakeAPIFault {
	hijack := func(answer string) func(w http.ResponseWriter, _ *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}
	return []fakeAPIFault{
		{
			name: "busy", reason: "busy", status: 200, code: -1, retry: true,
			answer: fakeAPIWrite(200, `{"errcode":-1,"errmsg":"system error"}`),
		},
		{
			name: "unauthorized, secrets in errmsg", reason: "unauthorized", status: 200, code: 48001,
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(`{"errcode":48001,"errmsg":"no: ` + r.URL.String() + `"}`))
			},
		},
		{
			name: "the whole request in errmsg", reason: "bad_openid", status: 200, code: 40003,
			answer: func(w http.ResponseWriter, r *http.Request) {
				sent, _ := io.ReadAll(r.Body)
				raw, _ := encode(map[string]any{"errcode": "40003", "errmsg": "invalid: " + string(sent) + r.URL.RawQuery})
				_, _ = w.Write(raw)
			},
		},
		{
			name: "text in errmsg", reason: "errcode", status: 200, code: 87014,
			answer: func(w http.ResponseWriter, r *http.Request) {
				var sent outgoing
				_ = json.NewDecoder(r.Body).Decode(&sent)
				raw, _ := encode(map[string]any{"errcode": 87014, "errmsg": "risky: " + sent.Text.Content})
				_, _ = w.Write(raw)
			},
		},
		{
			name: "window over", reason: "out_of_window", status: 200, code: 45015, gone: true,
			answer: fakeAPIWrite(200, `{"errcode":45015,"errmsg":"response out of time limit or subscription is canceled rid: 1"}`),
		},
		{
			name: "count over", reason: "out_of_count", status: 200, code: 45047, gone: true,
			answer: fakeAPIWrite(200, `{"errcode":45047,"errmsg":"out of response count limit rid: 1"}`),
		},
		{
			name: "quota of the day", reason: "quota", status: 200, code: 45009, retry: true, after: gateFirst,
			answer: fakeAPIWrite(200, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`),
		},
		{
			name: "errcode with a bad status", reason: "limited", status: 403, code: 50002,
			answer: fakeAPIWrite(403, `{"errcode":50002,"errmsg":"user limited"}`),
		},
		{
			name: "502", reason: "http_status", status: 502, retry: true, maybeSent: true,
			answer: fakeAPIWrite(502, `<html>Bad Gateway T0K3N</html>`),
		},
		{
			name: "503 with an errcode", reason: "http_status", status: 503, retry: true, maybeSent: true,
			answer: fakeAPIWrite(503, `{"errcode":45015}`),
		},
		{
			name: "429 in JSON", reason: "http_status", status: 429, retry: true, maybeSent: true,
			answer: fakeAPIWrite(429, `{}`),
		},
		{
			name: "page", reason: "bad_answer", status: 200, retry: true, maybeSent: true,
			answer: fakeAPIWrite(200, "\n<!DOCTYPE html><title>T0K3N</title>"),
		},
		{
			name: "nothing", reason: "bad_answer", status: 200, retry: true, maybeSent: true,
			answer: fakeAPIWrite(200, ""),
		},
		{
			name: "cut JSON", reason: "bad_answer", status: 200, retry: true, maybeSent: true,
			answer: fakeAPIWrite(200, `{"errcode":0,"errm`),
		},
		{
			name: "errcode of another kind", reason: "bad_answer", status: 200, retry: true, maybeSent: true,
			answer: fakeAPIWrite(200, `{"errcode":{"a":0}}`),
		},
		{
			name: "too long", reason: "bad_answer", status: 200, retry: true, maybeSent: true,
			answer: fakeAPIWrite(200, `{"errcode":0,"errmsg":"`+strings.Repeat("x", maxAnswer)+`"}`),
		},
		{
			name: "redirect", reason: "bad_answer", status: 302, retry: true, maybeSent: true,
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
			},
		},
		{
			name: "redirect to nowhere", reason: "transport", retry: true, maybeSent: true, onceMore: true,
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://%zz/"+r.URL.RawQuery)
				w.WriteHeader(http.StatusFound)
			},
		},
		{
			name: "body cut", reason: "transport", status: 200, retry: true, maybeSent: true, onceMore: true,
			answer: hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errcode\":0"),
		},
		{
			name: "hung up", reason: "transport", retry: true, maybeSent: true, onceMore: true,
			answer: hijack(""),
		},
		{
			name: "no HTTP", reason: "transport", retry: true, maybeSent: true, onceMore: true,
			answer: hijack("SSH-2.0-T0K3N_1_abcdefghijklmnop\r\n"),
		},
	}
}

func (tc fakeAPIFault) fits(after time.Duration) bool {
	return after >= tc.after*3/4 && after <= tc.after
}

func TestCallFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range fakeAPIFaults() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			var lines bytes.Buffer
			c := f.client(func(o *ClientOptions) { o.Logger = zerolog.New(&lines) })
			f.set(func(f *fakeAPI) {
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/cgi-bin/stable_token" {
						return false
					}
					tc.answer(w, r)
					return true
				}
			})
			e := fakeAPIError(t, fakeAPISend(t, c))
			if e.Op != "send" || e.App != "shop" || e.Reason() != tc.reason || e.Status != tc.status || e.Code != tc.code {
				t.Errorf("error %v: reason %s, status %d, code %d; want %s, %d, %d", e, e.Reason(), e.Status, e.Code, tc.reason, tc.status, tc.code)
			}
			if e.Retryable() != tc.retry || e.MaybeSent() != tc.maybeSent || !tc.fits(e.RetryAfter()) || e.AllowanceGone() != tc.gone {
				t.Errorf("retryable %v, maybe sent %v, after %s, allowance gone %v", e.Retryable(), e.MaybeSent(), e.RetryAfter(), e.AllowanceGone())
			}
			f.wantCalls("custom/send", 1)

			_, err := c.OnlineList(t.Context(), "shop")
			e = fakeAPIError(t, err)
			if e.MaybeSent() || e.Reason() != tc.reason {
				t.Errorf("online list: %v, maybe sent %v", e, e.MaybeSent())
			}
			want := 1
			if tc.onceMore {
				want = 2
			}
			f.wantCalls("getonlinekflist", want)
			for _, text := range []string{e.Error(), lines.String()} {
				fakeAPIHidden(t, text)
			}
		})
	}
}

// The same faults on the way to the token leave nothing sent, and nothing said.
func TestTokenFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range fakeAPIFaults() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			var lines bytes.Buffer
			c := f.client(func(o *ClientOptions) { o.Logger = zerolog.New(&lines) })
			f.set(func(f *fakeAPI) {
				f.before = func(w http.ResponseWriter, r *http.Request) bool { tc.answer(w, r); return true }
			})
			e := fakeAPIError(t, fakeAPISend(t, c))
			if e.Op != "token" || e.Reason() != tc.reason || e.Retryable() != tc.retry || e.MaybeSent() {
				t.Errorf("error %v, retryable %v, maybe sent %v", e, e.Retryable(), e.MaybeSent())
			}
			if !errors.Is(c.TokenState("shop").Err, e) {
				t.Errorf("TokenState.Err = %v, want %v", c.TokenState("shop").Err, e)
			}
			fakeAPIHidden(t, e.Error()+lines.String())
			f.wantCalls("custom/send", 0)
		})
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	f := newFakeAPI(t)
	c := f.client()
	if err := fakeAPISend(t, c); err != nil { // has a token now
		t.Fatal(err)
	}
	c.base = url
	e := fakeAPIError(t, fakeAPISend(t, c))
	if e.Reason() != "transport" || !e.Retryable() || e.MaybeSent() || !strings.Contains(e.Error(), "refused") {
		t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
	}
	fakeAPIHidden(t, e.Error())
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	hangs := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/cgi-bin/stable_token" {
			return false
		}
		<-r.Context().Done()
		return true
	}
	t.Run("of the client", func(t *testing.T) {
		c := f.client()
		fakeAPIWarm(t, f, c, hangs)
		c.timeout = 50 * time.Millisecond
		e := fakeAPIError(t, fakeAPISend(t, c))
		if e.Reason() != "timeout" || !e.Retryable() || !e.MaybeSent() || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
		}
		fakeAPIHidden(t, e.Error())
	})
	t.Run("in the middle of the answer", func(t *testing.T) {
		c := f.client()
		fakeAPIWarm(t, f, c, func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = w.Write([]byte(`{"errcode":`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		})
		c.timeout = 300 * time.Millisecond // enough for the beginning of the answer
		e := fakeAPIError(t, fakeAPISend(t, c))
		if e.Reason() != "timeout" || !e.MaybeSent() || e.Status != 200 {
			t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
		}
	})
	t.Run("of the caller", func(t *testing.T) {
		c := f.client()
		fakeAPIWarm(t, f, c, hangs)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		e := fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi"))
		if e.Reason() != "timeout" || !e.MaybeSent() || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
		}
	})
	t.Run("caller gives up", func(t *testing.T) {
		c := f.client()
		ctx, cancel := context.WithCancel(t.Context())
		fakeAPIWarm(t, f, c, func(w http.ResponseWriter, r *http.Request) bool {
			cancel()
			return hangs(w, r)
		})
		e := fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi"))
		if e.Reason() != "canceled" || !errors.Is(e, context.Canceled) {
			t.Errorf("error %v", e)
		}
		e = fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi"))
		if e.Reason() != "canceled" {
			t.Errorf("before it began: %v", e)
		}
	})
	t.Run("before there is a connection", func(t *testing.T) {
		c := f.client(func(o *ClientOptions) {
			o.Timeout = 50 * time.Millisecond
			o.HTTP = &http.Client{Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if len(f.seen("custom/send")) > 0 {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return new(net.Dialer).DialContext(ctx, network, addr)
				},
			}}
		})
		f.set(func(f *fakeAPI) { f.calls = nil })
		fakeAPIWarm(t, f, c, nil)
		e := fakeAPIError(t, fakeAPISend(t, c))
		if e.Reason() != "timeout" || e.MaybeSent() {
			t.Errorf("error %v, maybe sent %v", e, e.MaybeSent())
		}
	})
}

// fakeAPIWarm lets a client get its token by a call that works, and then changes what
// is answered.
func fakeAPIWarm(t *testing.T, f *fakeAPI, c *Client, then func(http.ResponseWriter, *http.Request) bool) {
	t.Helper()
	f.set(func(f *fakeAPI) { f.before = nil })
	if err := fakeAPISend(t, c); err != nil {
		t.Fatal(err)
	}
	f.set(func(f *fakeAPI) { f.before = then })
}
