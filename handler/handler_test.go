package handler

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
	"kefud/wechat"
)

const (
	token  = "s3cret-token"
	openid = "oABCD1234567890abcdefghijk"
	words  = "我的身份证号是什么"
)

type routerFunc func(context.Context, *kefu.Message) kefu.Decision

func (f routerFunc) Route(ctx context.Context, m *kefu.Message) kefu.Decision { return f(ctx, m) }

type historianFunc func(kefu.CustomerID) (kefu.History, error)

func (f historianFunc) History(_ context.Context, c kefu.CustomerID) (kefu.History, error) {
	return f(c)
}

// rig is a handler with everything behind it in the test's hand.
type rig struct {
	http.Handler
	log   *bytes.Buffer
	route func(context.Context, *kefu.Message) kefu.Decision
	ready Readiness
	stops bool
	admin string
	hist  func(kefu.CustomerID) (kefu.History, error)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	codec, err := wechat.NewCodec(wechat.CodecOptions{App: "shop", AppID: "wx1", Token: token, Encryption: wechat.Plain, MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	// The token of WeChat's worked examples,
	// https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html, read 2026-11.
	documented, err := wechat.NewCodec(wechat.CodecOptions{App: "documented", AppID: "wx2", Token: "AAAAA", Encryption: wechat.Plain, MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		log: new(bytes.Buffer), admin: "admin-token",
		route: func(context.Context, *kefu.Message) kefu.Decision {
			return kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: time.Unix(1, 0), Entry: "cs1", Reason: kefu.ReasonPool}
		},
	}
	reg := prometheus.NewRegistry()
	r.Handler, err = New(Options{
		Codec: func(app kefu.AppID) *wechat.Codec {
			if app == "broken" {
				panic("a defect")
			}
			return map[kefu.AppID]*wechat.Codec{"shop": codec, "documented": documented}[app]
		},
		Link:      func(tag string) (string, bool) { return "/pages/service1", tag == "cs1" || tag == "1001" },
		Router:    routerFunc(func(ctx context.Context, m *kefu.Message) kefu.Decision { return r.route(ctx, m) }),
		Historian: historianFunc(func(c kefu.CustomerID) (kefu.History, error) { return r.hist(c) }),
		Ready:     func() Readiness { return r.ready },
		Stopping:  func() bool { return r.stops },
		Token:     func() string { return r.admin },
		Budget:    time.Second, Logger: zerolog.New(zerolog.SyncWriter(r.log)), Registerer: reg, Gatherer: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) do(t *testing.T, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// sign gives the query of a push made now.
func sign(extra ...string) string {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "n0nce"
	parts := []string{token, timestamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	v := url.Values{"signature": {hex.EncodeToString(sum[:])}, "timestamp": {timestamp}, "nonce": {nonce}}
	for i := 0; i < len(extra); i += 2 {
		v.Set(extra[i], extra[i+1])
	}
	return "/wechat/shop?" + v.Encode()
}

func push(id string) string {
	return `<xml><ToUserName>gh_1</ToUserName><FromUserName>` + openid + `</FromUserName><CreateTime>1</CreateTime>` +
		`<MsgType>text</MsgType><Content>` + words + `</Content><MsgId>` + id + `</MsgId></xml>`
}

func TestCallback(t *testing.T) {
	t.Parallel()
	answer := func(a kefu.Answer) func(context.Context, *kefu.Message) kefu.Decision {
		return func(context.Context, *kefu.Message) kefu.Decision {
			return kefu.Decision{Answer: a, At: time.Unix(1, 0)}
		}
	}
	tests := []struct {
		name, method, target, body string
		route                      func(context.Context, *kefu.Message) kefu.Decision
		status                     int
		contentType, want          string
	}{
		{name: "verification", method: "GET", target: sign("echostr", "hello <1>"), status: 200, contentType: "text/plain; charset=utf-8", want: "hello <1>"},
		{
			name: "verification as WeChat's document shows it, years ago", method: "GET", status: 200, want: "4375120948345356249",
			target: "/wechat/documented?signature=f464b24fc39322e44b38aa78f5edd27bd1441696&timestamp=1714036504&nonce=1514711492&echostr=4375120948345356249",
		},
		{name: "a push of years ago", method: "POST", target: "/wechat/documented?signature=899cf89e464efb63f54ddac96b0a0a235f53aa78&timestamp=1714037059&nonce=486452656", body: push("1"), status: 403},
		{name: "verification of another token", method: "GET", target: strings.Replace(sign("echostr", "x"), "signature=", "signature=0", 1), status: 403, want: "signature refused"},
		{name: "verification of nobody", method: "GET", target: "/wechat/shop", status: 403, want: "signature refused"},
		{name: "verification of an unknown app", method: "GET", target: "/wechat/other", status: 404, want: "no such app"},
		{
			name: "transfer", method: "POST", target: sign(), body: push("1"), status: 200, contentType: "text/xml; charset=utf-8",
			want: "<xml><ToUserName><![CDATA[" + openid + "]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName><CreateTime>1</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>",
		},
		{name: "success", method: "POST", target: sign(), body: push("1"), route: answer(kefu.Answer{Way: kefu.WaySuccess}), status: 200, contentType: "text/plain; charset=utf-8", want: "success"},
		{name: "relayed", method: "POST", target: sign(), body: push("1"), route: answer(kefu.Answer{Way: kefu.WayRelay}), status: 200, want: "success"},
		{name: "unsigned", method: "POST", target: "/wechat/shop", body: push("1"), status: 403, want: "signature refused"},
		{name: "unknown app", method: "POST", target: "/wechat/other", body: push("1"), status: 404, want: "no such app"},
		{name: "no push at all", method: "POST", target: sign(), body: "hello", status: 400, want: "body unreadable"},
		{name: "empty", method: "POST", target: sign(), status: 400, want: "body unreadable"},
		{name: "too large", method: "POST", target: sign(), body: strings.Repeat("x", maxBody+1), status: 413, want: "body too large"},
		{name: "too large and unsigned: not even read", method: "POST", target: "/wechat/shop", body: strings.Repeat("x", maxBody+1), status: 403, want: "signature refused"},
		{name: "method", method: "PUT", target: "/wechat/shop", status: 405},
		{
			name: "a panic on the way", method: "POST", target: sign(), body: push("1"), status: 200, want: "success",
			route: func(context.Context, *kefu.Message) kefu.Decision { panic("a defect") },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if tt.route != nil {
				r.route = tt.route
			}
			w := r.do(t, tt.method, tt.target, tt.body)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.want != "" && w.Body.String() != tt.want {
				t.Errorf("body %q, want %q", w.Body, tt.want)
			}
			if got := w.Header().Get("Content-Type"); tt.contentType != "" && got != tt.contentType {
				t.Errorf("content type %q, want %q", got, tt.contentType)
			}
		})
	}
}

// The router has until a little before the budget ends, and WeChat's hanging up
// does not cut it short.
func TestDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.route = func(ctx context.Context, _ *kefu.Message) kefu.Decision {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > forRoute(time.Second) || left < time.Second/2 {
			t.Errorf("deadline in %v, want a little under 1s", left)
		}
		if err := ctx.Err(); err != nil {
			t.Errorf("ctx has ended with the connection: %v", err)
		}
		return kefu.Decision{Answer: kefu.Answer{Way: kefu.WaySuccess}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, sign(), strings.NewReader(push("1")))
	r.ServeHTTP(httptest.NewRecorder(), req)
}

func TestCallbackLine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stoodIn := kefu.Decision{
		Answer: kefu.Answer{Way: kefu.WayNamed, Agent: "wang", Account: "kf1@gh"}, Entry: "cs1", Agent: "wang", Step: 2,
		Reason: kefu.ReasonStandIn,
	}
	broke := kefu.Decision{
		Answer: kefu.Answer{Way: kefu.WayPlain}, Reason: kefu.ReasonDegraded, Degraded: true, Cause: kefu.CauseStore, Err: errors.New("refused"),
	}
	var sent []string
	for i, d := range []kefu.Decision{stoodIn, broke, stoodIn, broke} { // each as the first of its kind, and again
		r.route = func(context.Context, *kefu.Message) kefu.Decision { return d }
		sent = append(sent, fmt.Sprintf("626588105929544796%d", i))
		r.do(t, http.MethodPost, sign(), push(sent[i]))
	}
	var got []map[string]any
	for text := range strings.Lines(r.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if line["message"] != "callback answered" {
			continue
		}
		for key := range line {
			if n := strings.Count(text, `"`+key+`":`); n != 1 {
				t.Errorf("%q stands %d times in %s", key, n, text)
			}
		}
		if _, ok := line["took_ms"].(float64); !ok {
			t.Errorf("no took_ms in %s", text)
		}
		delete(line, "took_ms")
		got = append(got, line)
	}
	line := func(i int, more map[string]any) map[string]any {
		all := map[string]any{
			"message": "callback answered", "app": "shop", "msg": sent[i], "kind": "text", "conversation": "oABC…hijk",
		}
		maps.Copy(all, more)
		return all
	}
	wantStoodIn := map[string]any{
		"level": "info", "entry": "cs1", "agent": "wang", "reason": "stand_in", "step": 2.0, "reply": "transfer_named",
	}
	wantBroke := map[string]any{
		"level": "warn", "entry": "", "agent": "", "reason": "degraded", "step": 0.0, "reply": "transfer", "cause": "store",
	}
	want := []map[string]any{line(0, wantStoodIn), line(1, wantBroke), line(2, wantStoodIn), line(3, wantBroke)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	counted := r.do(t, http.MethodGet, "/metrics", "", "Authorization", "Bearer admin-token").Body.String()
	for _, sample := range []string{
		`kefud_degraded_total{app="shop",cause="store"} 2`,
		`kefud_decisions_total{app="shop",reason="stand_in"} 2`, `kefud_decisions_total{app="shop",reason="degraded"} 2`,
	} {
		if !strings.Contains(counted, sample) {
			t.Errorf("%s is not counted", sample)
		}
	}
}

// Trouble is logged when it begins, not with every callback, and when it ends.
func TestDegradedIsLoggedOnChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	play := func(d kefu.Decision) {
		r.route = func(context.Context, *kefu.Message) kefu.Decision { return d }
		r.do(t, http.MethodPost, sign(), push("1"))
	}
	bad := kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, Degraded: true, Cause: kefu.CauseStore, Err: errors.New("connection refused")}
	good := kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, Reason: kefu.ReasonPool}
	for range 5 {
		play(bad)
	}
	play(good)
	play(good)
	text := r.log.String()
	for _, line := range []struct {
		words string
		want  int
	}{{`"answers degraded"`, 1}, {"connection refused", 1}, {"no longer degraded", 1}, {`"callback answered"`, 7}} {
		if got := strings.Count(text, line.words); got != line.want {
			t.Errorf("%q stands %d times, want %d:\n%s", line.words, got, line.want, text)
		}
	}
}

// Who cannot get WeChat's verification through must find out why; who sends
// rubbish must not fill the log.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 5 {
		r.do(t, http.MethodGet, "/wechat/shop?signature=x", "")
		r.do(t, http.MethodPost, "/wechat/other", "")
	}
	for _, want := range []string{`"app":"shop","status":403`, `"app":"unknown","status":404`} {
		if got := strings.Count(r.log.String(), want); got != 1 {
			t.Errorf("%s stands %d times, want once:\n%s", want, got, r.log)
		}
	}
}

func TestReminder(t *testing.T) {
	t.Parallel()
	var r reminder
	now := time.Unix(1, 0)
	for i, tt := range []struct {
		after  time.Duration
		missed int
		due    bool
	}{{0, 0, true}, {time.Second, 0, false}, {time.Second, 0, false}, {remindEvery, 2, true}, {remindEvery, 0, true}} {
		now = now.Add(tt.after)
		if missed, due := r.due(refusal{"shop", refusedSignature}, now); missed != tt.missed || due != tt.due {
			t.Errorf("%d: %d, %v, want %d, %v", i, missed, due, tt.missed, tt.due)
		}
	}
}

func TestMetricsAndSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.do(t, http.MethodPost, sign(), push("1"))
	r.do(t, http.MethodPost, "/wechat/shop?signature=x", push("1"))
	for _, name := range []string{"a", "b", "c"} {
		r.do(t, http.MethodPost, "/wechat/"+name, push("1"))
	}
	text := r.do(t, http.MethodGet, "/metrics", "").Body.String()
	for _, want := range []string{
		`kefud_callbacks_total{app="shop",kind="text",outcome="transfer"} 1`,
		`kefud_callbacks_total{app="shop",kind="none",outcome="Forbidden"} 1`,
		`kefud_callbacks_total{app="unknown",kind="none",outcome="Not Found"} 3`,
		`kefud_decisions_total{app="shop",reason="pool"} 1`,
		`kefud_callback_seconds_count{app="shop"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, secret := range []string{openid, words, token} {
		if strings.Contains(text, secret) || strings.Contains(r.log.String(), secret) {
			t.Errorf("%q stands in metrics or log", secret)
		}
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if w := r.do(t, http.MethodHead, "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("HEAD /healthz: %d", w.Code)
	}
	if w := r.do(t, http.MethodGet, "/healthz", ""); w.Code != 200 || w.Body.String() != `{"status":"ok"}` {
		t.Errorf("/healthz: %d %s", w.Code, w.Body)
	}
	r.ready = Readiness{Status: "starting", Components: map[string]Component{
		"store":  {State: "degraded", Since: time.Now().Add(-time.Hour), Error: "connection refused"},
		"outbox": {State: "starting"},
	}}
	w := r.do(t, http.MethodGet, "/readyz", "")
	var got struct {
		Status     string
		Components map[string]struct {
			State, Error string
			Age          *float64 `json:"age_seconds"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusServiceUnavailable {
		t.Fatalf("/readyz: %d %s", w.Code, w.Body)
	}
	store := got.Components["store"]
	if got.Status != "starting" || store.Error != "connection refused" || store.Age == nil || *store.Age < 3599 || got.Components["outbox"].Age != nil {
		t.Errorf("/readyz: %s", w.Body)
	}
	r.ready = Readiness{Ready: true, Status: "degraded"}
	if w := r.do(t, http.MethodGet, "/readyz", ""); w.Code != http.StatusOK {
		t.Errorf("degraded but serving: %d, want 200", w.Code)
	}
}

func TestAnswersEndTheirConnectionsWhenTheServerIsAboutToEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct{ method, path, body string }{
		{http.MethodGet, "/healthz", ""},
		{http.MethodGet, "/readyz", ""},
		{http.MethodGet, "/nowhere", ""},
		{http.MethodPost, sign(), push("1")},
		{http.MethodPost, "/api/getCustomerServiceUrl", `{"customerId":"cs1"}`},
	} {
		r.stops = false
		if got := r.do(t, tt.method, tt.path, tt.body).Header().Get("Connection"); got != "" {
			t.Errorf("%s: Connection: %s, and it goes on", tt.path, got)
		}
		r.stops = true
		if got := r.do(t, tt.method, tt.path, tt.body).Header().Get("Connection"); got != "close" {
			t.Errorf("%s: Connection: %q, want close", tt.path, got)
		}
	}
	r.stops = false
	r.route = func(context.Context, *kefu.Message) kefu.Decision {
		r.stops = true
		return kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: time.Unix(1, 0)}
	}
	if got := r.do(t, http.MethodPost, sign(), push("2")).Header().Get("Connection"); got != "close" {
		t.Errorf("the end begins while a push is answered: Connection: %q, want close", got)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"known", `{"customerId":"cs1"}`, 200, `{"success":true,"url":"/pages/service1"}`},
		{"unknown", `{"customerId":"cs9"}`, 404, `{"message":"客服ID无效","success":false}`},
		{"absent", `{}`, 404, `{"message":"客服ID无效","success":false}`},
		{"no JSON", `customerId=cs1`, 400, ""},
		{"a number", `{"customerId":1001}`, 200, ""},
		{"an unknown number", `{"customerId":1}`, 404, ""},
		{"another type", `{"customerId":{"a":1}}`, 404, ""},
		{"endless", `{"customerId":"` + strings.Repeat("x", maxLinkBody) + `"}`, 400, ""},
	} {
		w := r.do(t, http.MethodPost, "/api/getCustomerServiceUrl", tt.body)
		if w.Code != tt.status || tt.want != "" && w.Body.String() != tt.want {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/apps/shop/customers/" + openid + "/decisions"
	known := func(kefu.CustomerID) (kefu.History, error) {
		return kefu.History{Found: true, Conversation: kefu.Conversation{Entry: "cs1", Owner: "wang"}, Records: []kefu.Record{{Reason: kefu.ReasonStep}}}, nil
	}
	tests := []struct {
		name, path, admin, header string
		hist                      func(kefu.CustomerID) (kefu.History, error)
		status                    int
		want                      string
	}{
		{"closed", path, "", "Bearer ", known, 403, "admin.token is not set"},
		{"no token", path, "t", "", known, 401, "send the configuration's admin.token"},
		{"wrong token", path, "t", "Bearer u", known, 401, ""},
		{"found", path, "t", "Bearer t", known, 200, `"owner":"wang"`},
		{"not found", path, "t", "Bearer t", func(kefu.CustomerID) (kefu.History, error) { return kefu.History{}, nil }, 404, "nothing is known"},
		{"store down", path, "t", "Bearer t", func(kefu.CustomerID) (kefu.History, error) { return kefu.History{}, errors.New("dial: refused") }, 503, "the store does not answer"},
		{"unknown app", strings.Replace(path, "shop", "other", 1), "t", "Bearer t", known, 404, "no such app"},
		{"scheme in another case", path, "t", "bearer t", known, 200, ""},
		{"another scheme", path, "t", "Basic t", known, 401, ""},
		{"no such path", "/api/v1/nothing", "t", "Bearer t", known, 404, "nothing at this path"},
		{"no such path, closed", "/api/v1/nothing", "", "", known, 403, "admin.token is not set"},
		{"no such path, no token", "/api/v1", "t", "", known, 401, ""},
		{"outside", "/api/v2/nothing", "", "", known, 404, "nothing at this path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.admin, r.hist = tt.admin, tt.hist
			w := r.do(t, http.MethodGet, tt.path, "", "Authorization", tt.header)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tt.status, tt.want)
			}
			if strings.Contains(w.Body.String(), openid) {
				t.Errorf("the whole openid stands in %s", w.Body)
			}
			if got := w.Header().Get("Content-Type"); tt.status >= 400 && got != "application/problem+json" {
				t.Errorf("content type %q, want a problem", got)
			}
		})
	}
}

func TestServerHasAllTimeouts(t *testing.T) {
	t.Parallel()
	s := NewServer(":0", http.NotFoundHandler())
	if s.ReadTimeout <= 0 || s.ReadHeaderTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("%+v lacks a limit", s)
	}
}

func TestBadProxyIsRefused(t *testing.T) {
	t.Parallel()
	_, err := New(Options{TrustedProxies: []string{"not an address"}, Registerer: prometheus.NewRegistry(), Logger: zerolog.New(io.Discard)})
	if err == nil {
		t.Error("no error")
	}
}
