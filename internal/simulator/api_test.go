package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	sendPath   = "/cgi-bin/message/custom/send"
	onlinePath = "/cgi-bin/customservice/getonlinekflist"
)

// call calls the API without a network and reads the answer.
func (w *world) call(t *testing.T, method, target, body string) map[string]any {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%s %s: status %d, %s", method, target, rec.Code, rec.Body)
	}
	return out
}

func code(out map[string]any) int {
	f, _ := out["errcode"].(float64)
	return int(f)
}

func (w *world) token(t *testing.T) string {
	t.Helper()
	return at[string](t, w.stable(t, false), "access_token")
}

func (w *world) stable(t *testing.T, force bool) map[string]any {
	t.Helper()
	return w.call(t, http.MethodPost, "/cgi-bin/stable_token",
		fmt.Sprintf(`{"grant_type":"client_credential","appid":"wx0000000000000001","secret":"secret","force_refresh":%t}`, force))
}

// at finds a value in an answer.
func at[T any](t *testing.T, in any, path ...any) T {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := in.(map[string]any)
			in = m[step]
		case int:
			l, _ := in.([]any)
			if step >= len(l) {
				t.Fatalf("no %v in the answer", path)
			}
			in = l[step]
		}
	}
	out, ok := in.(T)
	if !ok {
		t.Fatalf("%v is %v", path, in)
	}
	return out
}

// text sends a text by the API.
func (w *world) text(t *testing.T, token, openid, text string) int {
	t.Helper()
	return code(w.call(t, http.MethodPost, sendPath+"?access_token="+token, fmt.Sprintf(`{"touser":%q,"msgtype":"text","text":{"content":%q}}`, openid, text)))
}

func TestStableToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	one := w.stable(t, false)
	if one["expires_in"] != 7200.0 || len(at[string](t, one, "access_token")) != 512 || one["errcode"] != nil {
		t.Errorf("first token: %v", one["expires_in"])
	}
	w.clock.pass(115*time.Minute - time.Second)
	if again := w.stable(t, false); again["access_token"] != one["access_token"] || again["expires_in"] != 301.0 {
		t.Errorf("before the last 5 minutes: another token, or %v s", again["expires_in"])
	}
	w.clock.pass(time.Second)
	two := w.stable(t, false)
	if two["access_token"] == one["access_token"] || two["expires_in"] != 7200.0 {
		t.Error("in the last 5 minutes: the same token")
	}
	c := w.Customer(w.account, "oOne")
	say(t, c, "hi")
	use := func(out map[string]any) int { return w.text(t, at[string](t, out, "access_token"), "oOne", "x") }
	if use(one) != 0 || use(two) != 0 {
		t.Error("both are valid for 5 minutes")
	}
	w.clock.pass(5 * time.Minute)
	if use(one) != 42001 || use(two) != 0 {
		t.Error("the former did not expire")
	}

	forced := w.stable(t, true)
	if forced["access_token"] == two["access_token"] || use(two) != 40001 || use(forced) != 0 {
		t.Error("force does not revoke the former")
	}
	w.clock.pass(29 * time.Second)
	if again := w.stable(t, true); again["access_token"] != forced["access_token"] {
		t.Error("forced again within 30 s")
	}
	for range 19 {
		w.clock.pass(30 * time.Second)
		forced = w.stable(t, true)
	}
	w.clock.pass(30 * time.Second)
	if got := code(w.stable(t, true)); got != 45009 {
		t.Errorf("forced for the 21st time: %d", got)
	}
	w.account.ExpireTokens()
	if use(forced) != 42001 || use(w.stable(t, false)) != 0 {
		t.Error("expired on demand")
	}
	last := w.stable(t, false)
	w.account.RevokeTokens()
	if use(last) != 40001 {
		t.Error("revoked on demand")
	}
}

func TestBasicToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	stable := w.token(t)
	get := func() string {
		return at[string](t, w.call(t, http.MethodGet, "/cgi-bin/token?grant_type=client_credential&appid=wx0000000000000001&secret=secret", ""), "access_token")
	}
	one := get()
	two := get()
	list := func(token string) int { return code(w.call(t, http.MethodGet, onlinePath+"?access_token="+token, "")) }
	if one == two || list(one) != 0 || list(two) != 0 {
		t.Error("a new token with every call, the former valid for a moment")
	}
	w.clock.pass(5 * time.Minute)
	if list(one) != 42001 || list(two) != 0 || list(stable) != 0 {
		t.Error("only the former basic token dies")
	}
}

func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	token := w.token(t)
	stable := func(grant, app, secret string) (string, string, string) {
		return http.MethodPost, "/cgi-bin/stable_token", fmt.Sprintf(`{"grant_type":%q,"appid":%q,"secret":%q}`, grant, app, secret)
	}
	tests := []struct {
		name string
		call func() (string, string, string)
		want int
	}{
		{"no appid", func() (string, string, string) { return stable("client_credential", "", "secret") }, 41002},
		{"no secret", func() (string, string, string) { return stable("client_credential", "wx0000000000000001", "") }, 41004},
		{"grant", func() (string, string, string) { return stable("other", "wx0000000000000001", "secret") }, 40002},
		{"appid", func() (string, string, string) { return stable("client_credential", "wx2", "secret") }, 40013},
		{"secret", func() (string, string, string) { return stable("client_credential", "wx0000000000000001", "x") }, 40125},
		{"no JSON", func() (string, string, string) { return http.MethodPost, "/cgi-bin/stable_token", "{" }, 47001},
		{"GET stable_token", func() (string, string, string) { return http.MethodGet, "/cgi-bin/stable_token", "" }, 43002},
		{"POST token", func() (string, string, string) { return http.MethodPost, "/cgi-bin/token", "" }, 43001},
		{"no token", func() (string, string, string) { return http.MethodPost, sendPath, "{}" }, 41001},
		{"bad token", func() (string, string, string) { return http.MethodPost, sendPath + "?access_token=x", "{}" }, 40001},
		{"kfsession", func() (string, string, string) {
			return http.MethodPost, "/customservice/kfsession/create?access_token=" + token, "{}"
		}, 48001},
		{"business send", func() (string, string, string) {
			return http.MethodPost, "/cgi-bin/message/custom/business/send?access_token=" + token, "{}"
		}, 40101},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method, target, body := tt.call()
			out := w.call(t, method, target, body)
			if msg, _ := out["errmsg"].(string); code(out) != tt.want || !strings.Contains(msg, " rid: ") {
				t.Errorf("answer = %v, want %d", out, tt.want)
			}
		})
	}
}

func TestSendShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	token, media := w.token(t), w.account.Media()
	official := account()
	official.Kind, official.AppID, official.OriginalID = OfficialAccount, "wx2", "gh_2"
	other, err := w.AddAccount(official)
	if err != nil {
		t.Fatal(err)
	}
	w.Customer(other, "oElsewhere")
	tests := []struct {
		name, body string
		want       int
		rule       string // broken
		shown      string
	}{
		{"text", `{"touser":"oOne","msgtype":"text","text":{"content":"你好 <a href=\"x\">y</a>\n"}}`, 0, "", "你好 <a href=\"x\">y</a>\n"},
		{"control character", `{"touser":"oOne","msgtype":"text","text":{"content":"a\u0001\u2028b\\u4f60"}}`, 0, "", "a\x01\u2028b\\u4f60"},
		{"image", `{"touser":"oOne","msgtype":"image","image":{"media_id":"` + media + `"}}`, 0, "", media},
		{"link", `{"touser":"oOne","msgtype":"link","link":{"title":"t","description":"d","url":"u","thumb_url":"h"}}`, 0, "", "t"},
		{"card", `{"touser":"oOne","msgtype":"miniprogrampage","miniprogrampage":{"title":"t","pagepath":"p","thumb_media_id":"` + media + `"}}`, 0, "", "t"},
		{"escaped text", `{"touser":"oOne","msgtype":"text","text":{"content":"\u4f60"}}`, 40033, `\uXXXX`, ""},
		{"escaped angle", `{"touser":"oOne","msgtype":"text","text":{"content":"\u003ca>"}}`, 40033, `\uXXXX`, ""},
		{"no JSON", `touser=oOne`, 47001, "not JSON", ""},
		{"not UTF-8", "{\"touser\":\"\xff\"}", 47001, "UTF-8", ""},
		{"no such type", `{"touser":"oOne","msgtype":"transfer_customer_service"}`, 40008, "no msgtype", ""},
		{"unknown openid", `{"touser":"oNobody","msgtype":"text","text":{"content":"x"}}`, 40003, "", ""},
		{"another account's openid", `{"touser":"oElsewhere","msgtype":"text","text":{"content":"x"}}`, 40003, "", ""},
		{"empty text", `{"touser":"oOne","msgtype":"text","text":{"content":""}}`, 44004, "empty", ""},
		{"no content", `{"touser":"oOne","msgtype":"text"}`, 47001, "text is missing", ""},
		{"2048 bytes", `{"touser":"oOne","msgtype":"text","text":{"content":"` + strings.Repeat("你", 682) + `xx"}}`, 0, "", strings.Repeat("你", 682) + "xx"},
		{"2049 bytes", `{"touser":"oOne","msgtype":"text","text":{"content":"` + strings.Repeat("你", 683) + `"}}`, 45002, "2048 bytes", ""},
		{"half a link", `{"touser":"oOne","msgtype":"link","link":{"title":"t","url":"u"}}`, 47001, "link.description", ""},
		{"unknown media", `{"touser":"oOne","msgtype":"image","image":{"media_id":"x"}}`, 40007, "", ""},
		{"unknown element", `{"touser":"oOne","msgtype":"text","text":{"content":"x"},"extra":1}`, 47001, "element extra", ""},
		{"unknown inner element", `{"touser":"oOne","msgtype":"text","text":{"content":"x","y":"z"}}`, 47001, "element text.y", ""},
		{"customservice of a mini-program", `{"touser":"oOne","msgtype":"text","text":{"content":"x"},"customservice":{"kf_account":"a@b"}}`, 47001, "element customservice", ""},
	}
	for _, tt := range tests { // one after the other: they share the list of faults
		c := w.Customer(w.account, "oOne")
		say(t, c, "hi") // allowance
		before, inbox := len(w.Faults()), len(c.Inbox())
		out := w.call(t, http.MethodPost, sendPath+"?access_token="+token, tt.body)
		if code(out) != tt.want {
			t.Errorf("%s: answer = %v, want %d", tt.name, out, tt.want)
		}
		if tt.want == 0 && c.Inbox()[inbox].Text != tt.shown {
			t.Errorf("%s: the customer sees %q", tt.name, c.Inbox()[inbox].Text)
		}
		if got := w.Faults()[before:]; (len(got) == 0) != (tt.rule == "") || (len(got) > 0 && !strings.Contains(got[0].String(), tt.rule)) {
			t.Errorf("%s: faults = %v, want %q", tt.name, got, tt.rule)
		}
	}
	if got := w.Calls(sendPath); got[0] != 6 || got[40003] != 2 {
		t.Errorf("calls = %v", got)
	}
	w.clock.pass(3*24*time.Hour + time.Second)
	say(t, w.Customer(w.account, "oOne"), "hi")
	if out := w.call(t, http.MethodPost, sendPath+"?access_token="+w.token(t), tests[2].body); code(out) != 40007 {
		t.Errorf("media after 3 days: %v", out)
	}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.server.answer = success
	c := w.Customer(w.account, "oOne")
	sends := func(want ...int) {
		t.Helper()
		token := w.token(t)
		var got []int
		for range want {
			got = append(got, w.text(t, token, "oOne", "x"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	tap := func() {
		t.Helper()
		if _, err := c.Tap(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	sends(45015) // he has done nothing yet
	tap()
	sends(0, 0, 45047)
	w.clock.pass(time.Minute + time.Second)
	sends(45015)
	tap()
	w.clock.pass(time.Minute)
	sends(0)
	say(t, c, "hi")
	sends(0, 0, 0, 0)
	tap() // one left, and an enter event grants two; they do not add up
	sends(0, 0, 45047)
	say(t, c, "hi")
	tap() // takes nothing away
	w.clock.pass(48 * time.Hour)
	sends(0, 0, 0, 0, 0, 45047)
	w.clock.pass(time.Second)
	sends(45015)
}

func TestLists(t *testing.T) {
	t.Parallel()
	official := account()
	official.Kind = OfficialAccount
	tests := []struct {
		name   string
		o      AccountOptions
		online string
	}{
		{"mini-program", account(), `{"kf_online_list":[{"kf_account":"","status":2,"kf_id":"1","kf_openid":"okfli"},{"kf_account":"","status":0,"kf_id":"2","kf_openid":"okfwang"}]}`},
		{"official account", official, `{"kf_online_list":[{"kf_account":"li@gh_1a2b3c","status":2,"kf_id":1,"kf_openid":"okfli","accepted_case":1}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, tt.o)
			w.agent(t, "li", AgentOptions{Online: true, Status: 2})
			w.agent(t, "wang", AgentOptions{})
			say(t, w.Customer(w.account, "oOne"), "hi")
			var want map[string]any
			if err := json.Unmarshal([]byte(tt.online), &want); err != nil {
				t.Fatal(err)
			}
			token := w.token(t)
			if diff := cmp.Diff(want, w.call(t, http.MethodGet, onlinePath+"?access_token="+token, "")); diff != "" {
				t.Error(diff)
			}
			all := w.call(t, http.MethodGet, "/cgi-bin/customservice/getkflist?access_token="+token, "")
			if at[string](t, all, "kf_list", 1, "kf_nick") != "wang" || at[string](t, all, "kf_list", 1, "kf_account") != "wang@gh_1a2b3c" {
				t.Errorf("getkflist = %v", all)
			}
		})
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	c, token := w.Customer(w.account, "oOne"), w.token(t)
	typing := func(path, openid, command string, want int) {
		t.Helper()
		out := w.call(t, http.MethodPost, "/cgi-bin/message/custom/"+path+"?access_token="+token, fmt.Sprintf(`{"touser":%q,"command":%q}`, openid, command))
		if code(out) != want {
			t.Errorf("%s: %v, want %d", command, out, want)
		}
	}
	typing("typing", "oOne", "Typing", 45015)
	say(t, c, "hi")
	typing("typing", "oNobody", "Typing", 40003)
	typing("typing", "oOne", "Type", 45072)
	typing("business/typing", "oOne", "Typing", 0)
	typing("typing", "oOne", "Typing", 45081)
	typing("typing", "oOne", "CancelTyping", 0)
	typing("typing", "oOne", "Typing", 0)
	w.text(t, token, "oOne", "x") // a message cancels it
	typing("typing", "oOne", "Typing", 0)
	w.clock.pass(15 * time.Second)
	typing("typing", "oOne", "Typing", 0)
	w.clock.pass(16 * time.Second)
	typing("typing", "oOne", "Typing", 45080)
	if got := c.Typed(); got != 4 {
		t.Errorf("typing was shown %d times, want 4", got)
	}
}

func TestBrokenAPI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		broken   APIBreak
		status   int // 0 = no answer at all
		body     string
		delivers bool
	}{
		{"502", APIBreak{Status: 502}, 502, "<h1>502 Bad Gateway</h1>", false},
		{"500 too late", APIBreak{Status: 500, Late: true}, 500, "<html>", true},
		{"errcode", APIBreak{ErrCode: -1}, 200, `"errcode":-1`, false},
		{"errcode for one path", APIBreak{Path: sendPath, ErrCode: 45011}, 200, `"errcode":45011`, false},
		{"another path", APIBreak{Path: onlinePath, ErrCode: 45011}, 200, `"errcode":0`, true},
		{"truncated", APIBreak{Truncate: true}, 200, `{"errcode":0,`, true},
		{"reset", APIBreak{Reset: true}, 0, "", false},
		{"reset too late", APIBreak{Reset: true, Late: true}, 0, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, account())
			c, token := w.Customer(w.account, "oOne"), w.token(t)
			say(t, c, "hi")
			base, err := w.Start(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			send := func() (int, string) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+sendPath+"?access_token="+token,
					strings.NewReader(`{"touser":"oOne","msgtype":"text","text":{"content":"x"}}`))
				if err != nil {
					t.Fatal(err)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					return 0, ""
				}
				defer func() { _ = res.Body.Close() }()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Error(err)
				}
				return res.StatusCode, string(body)
			}
			tt.broken.Calls, tt.broken.Account = 1, w.account
			lift := w.BreakAPI(tt.broken)
			status, body := send()
			if status != tt.status || !strings.Contains(body, tt.body) || (len(c.Inbox()) == 1) != tt.delivers {
				t.Errorf("status %d, %s, delivered %d", status, body, len(c.Inbox()))
			}
			if tt.broken.Truncate && json.Valid([]byte(body)) {
				t.Error("the JSON is whole")
			}
			lift()
			if _, body = send(); !strings.Contains(body, `"errcode":0`) {
				t.Errorf("afterwards: %s", body)
			}
		})
	}
}

func TestAPILatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		lift := w.BreakAPI(APIBreak{Latency: 3 * time.Second})
		start := time.Now()
		w.token(t)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		lift()
		w.token(t)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("lifted: took %s", took)
		}
	})
}

func TestUnknownPath(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	New(Options{}).Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cgi-bin/else", http.NoBody))
	if rec.Code != http.StatusNotFound {
		t.Errorf("status %d", rec.Code)
	}
}

func TestAccountsAreChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*AccountOptions)
		want   string
	}{
		{"kind", func(o *AccountOptions) { o.Kind = "x" }, "kind"},
		{"mode", func(o *AccountOptions) { o.Mode = "x" }, "mode"},
		{"format", func(o *AccountOptions) { o.Format = "x" }, "format"},
		{"naming", func(o *AccountOptions) { o.Naming = "x" }, "naming"},
		{"official JSON", func(o *AccountOptions) { o.Kind, o.Format = OfficialAccount, JSON }, "XML only"},
		{"safe without a key", func(o *AccountOptions) { o.Mode, o.AESKey = Safe, "" }, "EncodingAESKey"},
		{"bad key", func(o *AccountOptions) { o.AESKey = "x" }, "43"},
		{"bad target", func(o *AccountOptions) { o.Targets = []string{"ftp://x"} }, "http URL"},
		{"no app id", func(o *AccountOptions) { o.AppID = "" }, "app id"},
		{"a mini-program as a switchboard", func(o *AccountOptions) { o.Switchboard = true }, "switchboard"},
		{"twice", func(*AccountOptions) {}, "has its app id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, account())
			o := account()
			if tt.name != "twice" {
				o.AppID, o.OriginalID = "wx2", "gh_2"
			}
			tt.change(&o)
			if _, err := w.AddAccount(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("added: %v, want %q", err, tt.want)
			}
		})
	}
}
