package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

const (
	fakeAPIAppID  = "wx00000000000000aa"
	fakeAPISecret = "s3cr3t-0123456789abcdef"
	fakeAPIUser   = "oABCDEFGHIJKLMNOPQRSTUVWXYZ1"
	fakeAPIBoard  = "wx00000000000000cc" // another app's, with the same secret
	fakeAPIText   = "您的订单 <a href=\"https://example.com/?a=1&b=2\">已发货</a>"
)

// fakeAPIClock is a clock that stands still until it is moved.
type fakeAPIClock struct {
	mu sync.Mutex
	t  time.Time
}

func newFakeAPIClock() *fakeAPIClock {
	return &fakeAPIClock{t: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
}

func (c *fakeAPIClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeAPIClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fakeAPICall is one call as it came over the wire.
type fakeAPICall struct {
	Path, Method, Token, Type string
	Query                     url.Values
	Body                      []byte
}

// fakeAPIBoardToken is always the token of the app fakeAPIBoard.
const fakeAPIBoardToken = "T0K3N_board_abcdefghijklmnop"

// fakeAPI is WeChat's API as its pages describe it: a stable token that stays
// the same until five minutes before its end, and calls that check it.
type fakeAPI struct {
	t     *testing.T
	clock *fakeAPIClock
	url   string

	mu      sync.Mutex
	serial  int
	tokens  map[string]time.Time // valid ones and their ends
	current string
	life    time.Duration // of a new token
	calls   []fakeAPICall
	refuse  int    // so many more calls get 40001 whatever their token; below 0: all
	online  string // the answer to getonlinekflist
	// before, if set, may answer instead and says so.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{
		t: t, clock: newFakeAPIClock(), tokens: map[string]time.Time{}, life: 2 * time.Hour,
		online: `{"kf_online_list":[]}`,
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// options are those of a client of the fake, for one app "shop".
func (f *fakeAPI) options() ClientOptions {
	return ClientOptions{
		BaseURL: f.url, Timeout: 5 * time.Second, Now: f.clock.Now, Logger: zerolog.Nop(),
		Apps: []Credential{{App: "shop", AppID: fakeAPIAppID, Secret: fakeAPISecret}},
	}
}

func (f *fakeAPI) client(change ...func(*ClientOptions)) *Client {
	f.t.Helper()
	o := f.options()
	for _, c := range change {
		c(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		f.t.Fatalf("NewClient: %v", err)
	}
	return c
}

func (f *fakeAPI) set(change func(*fakeAPI)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// seen gives the calls of one path so far.
func (f *fakeAPI) seen(path string) []fakeAPICall {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []fakeAPICall
	for _, c := range f.calls {
		if strings.HasSuffix(c.Path, path) {
			calls = append(calls, c)
		}
	}
	return calls
}

func (f *fakeAPI) wantCalls(path string, want int) {
	f.t.Helper()
	if got := len(f.seen(path)); got != want {
		f.t.Errorf("%d calls of %s, want %d", got, path, want)
	}
}

// revoke makes every token invalid, as a forced refresh elsewhere does.
func (f *fakeAPI) revoke() {
	f.set(func(f *fakeAPI) { f.tokens, f.current = map[string]time.Time{}, "" })
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read body: %v", err)
	}
	f.mu.Lock()
	f.calls = append(f.calls, fakeAPICall{
		Path: r.URL.Path, Method: r.Method, Token: r.URL.Query().Get("access_token"),
		Type: r.Header.Get("Content-Type"), Query: r.URL.Query(), Body: body,
	})
	before := f.before
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if before != nil && before(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = io.WriteString(w, f.answer(r, body))
}

func (f *fakeAPI) answer(r *http.Request, body []byte) string {
	if r.Method == http.MethodPost && r.URL.Path == "/cgi-bin/stable_token" {
		return f.stableToken(body)
	}
	token := r.URL.Query().Get("access_token")
	end, known := f.tokens[token]
	switch {
	case token == "":
		return `{"errcode":41001,"errmsg":"access_token missing rid: 1-2-3"}`
	case f.refuse != 0 || !known:
		if f.refuse > 0 {
			f.refuse--
		}
		return `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest rid: 1-2-3"}`
	case !f.clock.Now().Before(end):
		return `{"errcode":42001,"errmsg":"access_token expired rid: 1-2-3"}`
	case r.Method == http.MethodPost && r.URL.Path == "/cgi-bin/message/custom/send":
		return `{"errcode":0,"errmsg":"ok"}`
	case r.Method == http.MethodGet && r.URL.Path == "/cgi-bin/customservice/getonlinekflist":
		return f.online
	default:
		return `{"errcode":-1,"errmsg":"no such call"}`
	}
}

func (f *fakeAPI) stableToken(body []byte) string {
	var q map[string]any
	if err := json.Unmarshal(body, &q); err != nil {
		return `{"errcode":47001,"errmsg":"data format error"}`
	}
	if force, ok := q["force_refresh"]; ok && force != false {
		f.t.Error("token asked for by force")
	}
	switch {
	case q["grant_type"] != "client_credential":
		return `{"errcode":40002,"errmsg":"invalid grant_type"}`
	case q["appid"] == fakeAPIBoard && q["secret"] == fakeAPISecret:
		f.tokens[fakeAPIBoardToken] = f.clock.Now().Add(f.life)
		return fmt.Sprintf(`{"access_token":%q,"expires_in":7200}`, fakeAPIBoardToken)
	case q["appid"] != fakeAPIAppID:
		return `{"errcode":40013,"errmsg":"invalid appid rid: 1-2-3"}`
	case q["secret"] != fakeAPISecret:
		return fmt.Sprintf(`{"errcode":40125,"errmsg":"invalid appsecret %s rid: 1-2-3"}`, q["secret"])
	}
	now := f.clock.Now()
	if f.current == "" || f.tokens[f.current].Sub(now) <= 5*time.Minute {
		f.serial++
		f.current = fmt.Sprintf("T0K3N_%d_abcdefghijklmnop", f.serial)
		f.tokens[f.current] = now.Add(f.life)
	}
	left := int(f.tokens[f.current].Sub(now) / time.Second)
	return fmt.Sprintf(`{"access_token":%q,"expires_in":%d}`, f.current, left)
}

func fakeAPISend(t *testing.T, c *Client) error {
	t.Helper()
	return c.SendText(t.Context(), kefu.CustomerID{App: "shop", User: fakeAPIUser}, fakeAPIText)
}

func fakeAPIError(t *testing.T, err error) *APIError {
	t.Helper()
	e, ok := errors.AsType[*APIError](err)
	if !ok {
		t.Fatalf("error %v (%T), want an *APIError", err, err)
	}
	return e
}

// fakeAPIHidden fails if a text holds anything that must not be in one.
func fakeAPIHidden(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{fakeAPISecret, "T0K3N", fakeAPIUser, "已发货", "access_token=", "?"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds %q", text, secret)
		}
	}
}

func TestNewClientBaseURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		base, want string
		fails      bool
	}{
		{base: "", want: "https://api.weixin.qq.com"},
		{base: "http://127.0.0.1:9/", want: "http://127.0.0.1:9"},
		{base: "https://proxy.example/wx/", want: "https://proxy.example/wx"},
		{base: "api.weixin.qq.com", fails: true},
		{base: "ftp://api.weixin.qq.com", fails: true},
		{base: "https://", fails: true},
		{base: "https://a.example/?access_token=T0K3N", fails: true},
		{base: "https://name:T0K3N@a.example", fails: true},
		{base: "https://a.example/#x", fails: true},
		{base: "https://a.example:T0K3N/", fails: true},
	} {
		c, err := NewClient(ClientOptions{BaseURL: tc.base})
		if (err != nil) != tc.fails {
			t.Errorf("NewClient(%q) = %v, want an error: %v", tc.base, err, tc.fails)
			continue
		}
		if err != nil {
			fakeAPIHidden(t, err.Error())
			continue
		}
		if c.base != tc.want {
			t.Errorf("base of %q = %q, want %q", tc.base, c.base, tc.want)
		}
	}
}

func TestNewClientTwiceInOneRegistry(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	if _, err := NewClient(ClientOptions{Registerer: reg}); err != nil {
		t.Fatalf("first: %v", err)
	}
	if _, err := NewClient(ClientOptions{Registerer: reg}); err == nil {
		t.Error("second: no error")
	}
}

func TestClientWithoutCredential(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client(func(o *ClientOptions) { o.Apps[0].Secret = "" })
	e := fakeAPIError(t, fakeAPISend(t, c))
	if e.Retryable() || e.MaybeSent() || e.Reason() != "no_secret" || !strings.Contains(e.Error(), "app shop has no app_secret") {
		t.Errorf("without a secret: %v, retryable %v, maybe sent %v", e, e.Retryable(), e.MaybeSent())
	}
	if s := c.TokenState("shop"); s.HasSecret || s.Err != nil {
		t.Errorf("TokenState = %+v, want no secret and no error", s)
	}
	_, err := c.OnlineList(t.Context(), "nowhere")
	if e = fakeAPIError(t, err); e.Retryable() || e.Reason() != "unknown_app" {
		t.Errorf("unknown app: %v", e)
	}
	if s := c.TokenState("nowhere"); s != (TokenState{}) {
		t.Errorf("TokenState of an unknown app = %+v", s)
	}
	f.wantCalls("", 0)
}

func TestClientSetApps(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client(func(o *ClientOptions) { o.Apps[0].Secret = "wrong" })
	if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "bad_secret" {
		t.Fatalf("wrong secret: %v", e)
	}
	c.SetApps(f.options().Apps)
	if err := fakeAPISend(t, c); err != nil {
		t.Fatalf("after the secret was corrected: %v", err)
	}
	fetches := len(f.seen("stable_token"))
	c.SetApps(f.options().Apps)
	if err := fakeAPISend(t, c); err != nil {
		t.Fatalf("after a reload without a change: %v", err)
	}
	f.wantCalls("stable_token", fetches)
	c.SetApps(nil)
	if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "unknown_app" {
		t.Errorf("after the app has left: %v", e)
	}
}

func TestCredentialPrintsNoSecret(t *testing.T) {
	t.Parallel()
	cred := Credential{App: "shop", AppID: fakeAPIAppID, Secret: fakeAPISecret}
	asJSON, err := json.Marshal(cred)
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	log := zerolog.New(&line)
	log.Info().Interface("c", cred).Interface("all", []Credential{cred}).Msg("")
	fakeAPIHidden(t, fmt.Sprintf("%v %+v %#v %s %s %v", cred, cred, cred, asJSON, line.String(), []Credential{cred}))
	token := kefu.Token{Value: "T0K3N"}
	fakeAPIHidden(t, fmt.Sprintf("%v %+v %#v %s", token, token, token, token))
}

func TestClientMetrics(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	reg := prometheus.NewRegistry()
	c := f.client(func(o *ClientOptions) { o.Registerer = reg })
	f.set(func(f *fakeAPI) { f.refuse = 1 })
	for range 3 {
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, fam := range families {
		for _, m := range fam.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			name := fam.GetName() + " " + strings.Join(labels, " ")
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"kefud_wechat_calls_total shop send ok":     3,
		"kefud_wechat_calls_total shop send token":  1,
		"kefud_wechat_calls_total shop token ok":    2,
		"kefud_wechat_call_seconds send":            4,
		"kefud_wechat_call_seconds token":           2,
		"kefud_wechat_stopped shop send unanswered": 0,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 6 {
		t.Errorf("metrics %v, want 6", got)
	}
}

// fakeAPICache is a token cache in memory, with faults on demand.
type fakeAPICache struct {
	mu     sync.Mutex
	tokens map[kefu.AppID]kefu.Token
	drops  []string
	asked  int
	fails  error
	hangs  bool
}

func newFakeAPICache() *fakeAPICache {
	return &fakeAPICache{tokens: map[kefu.AppID]kefu.Token{}}
}

func (c *fakeAPICache) fault(ctx context.Context) error {
	c.mu.Lock()
	hangs, fails := c.hangs, c.fails
	c.asked++
	c.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return fails
}

func (c *fakeAPICache) Token(ctx context.Context, app kefu.AppID) (kefu.Token, bool, error) {
	if err := c.fault(ctx); err != nil {
		return kefu.Token{}, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tokens[app]
	return t, ok, nil
}

func (c *fakeAPICache) PutToken(ctx context.Context, app kefu.AppID, t kefu.Token) error {
	if err := c.fault(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[app] = t
	return nil
}

func (c *fakeAPICache) DropToken(ctx context.Context, app kefu.AppID, value string) error {
	if err := c.fault(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens[app].Value == value {
		delete(c.tokens, app)
		c.drops = append(c.drops, value)
	}
	return nil
}
