package wechat

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

const fakeAPITokenPath = "/cgi-bin/stable_token"

func TestTokenIsFetchedOnce(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	if s := c.TokenState("shop"); s != (TokenState{HasSecret: true}) {
		t.Errorf("TokenState before any call = %+v", s)
	}
	for range 5 {
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
	}
	f.wantCalls(fakeAPITokenPath, 1)
	want := `{"appid":"` + fakeAPIAppID + `","grant_type":"client_credential","secret":"` + fakeAPISecret + `"}`
	if got := f.seen(fakeAPITokenPath)[0]; got.Method != http.MethodPost || string(got.Body) != want || got.Token != "" {
		t.Errorf("token asked for by %s %s, token %q", got.Method, got.Body, got.Token)
	}
	now := f.clock.Now()
	if s := c.TokenState("shop"); s.Fetched != now || s.Expires != now.Add(2*time.Hour) || s.Err != nil {
		t.Errorf("TokenState = %+v", s)
	}
}

func TestTokenRenewal(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	send := func(after time.Duration, fetches int) {
		t.Helper()
		f.clock.Advance(after)
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(fakeAPITokenPath, fetches)
	}
	send(0, 1)
	send(115*time.Minute-time.Second, 1) // a little over 5 minutes left
	send(61*time.Second, 2)              // under 4 minutes left
	send(time.Minute, 2)
	calls := f.seen("custom/send")
	if first, last := calls[0].Token, calls[len(calls)-1].Token; first == last {
		t.Error("renewed token is not used")
	}
}

// A renewal that fails is no trouble while the old token is good, and is not
// tried with every call.
func TestTokenRenewalFails(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != fakeAPITokenPath {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	f.clock.Advance(117 * time.Minute)
	for range 10 {
		if err := fakeAPISend(t, c); err != nil {
			t.Fatalf("with 3 minutes left: %v", err)
		}
	}
	f.wantCalls(fakeAPITokenPath, 2)
	if s := c.TokenState("shop"); s.Err == nil || s.Expires.IsZero() {
		t.Errorf("TokenState = %+v, want a token and an error", s)
	}
	f.clock.Advance(3 * time.Minute)
	if e := fakeAPIError(t, fakeAPISend(t, c)); e.Op != "token" || !e.Retryable() {
		t.Errorf("with none left: %v", e)
	}
}

func TestTokenOfSmallLife(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		life time.Duration
		most int // fetches in 20 minutes of a call every 2 s
	}{
		{345 * time.Second, 10},
		{299 * time.Second, 14},
		{time.Second, 40},
	} {
		t.Run(tc.life.String(), func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			f.life = tc.life
			f.before = func(w http.ResponseWriter, r *http.Request) bool { // takes tokens a little longer than it says
				if r.URL.Path == fakeAPITokenPath {
					return false
				}
				_, _ = w.Write([]byte(`{}`))
				return true
			}
			c := f.client()
			for range 600 {
				if err := fakeAPISend(t, c); err != nil {
					t.Fatal(err)
				}
				f.clock.Advance(2 * time.Second)
			}
			if n := len(f.seen(fakeAPITokenPath)); n > tc.most {
				t.Errorf("%d fetches in 20 minutes, want at most %d", n, tc.most)
			}
		})
	}
}

func TestTokenAnswersWithoutToken(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{}`, `{"access_token":"","expires_in":7200}`, `{"access_token":"T0K3N"}`, `{"access_token":"T0K3N","expires_in":0}`,
		`{"access_token":"T0K3N","expires_in":-5}`, `{"access_token":"T0K3N","expires_in":"soon"}`, `{"access_token":{},"expires_in":7200}`,
	} {
		f := newFakeAPI(t)
		f.before = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte(answer)); return true }
		e := fakeAPIError(t, fakeAPISend(t, f.client()))
		if e.Op != "token" || e.Reason() != "bad_answer" || !e.Retryable() || e.MaybeSent() {
			t.Errorf("%s: %v", answer, e)
		}
		fakeAPIHidden(t, e.Error())
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	t.Run("invalid once", func(t *testing.T) {
		t.Parallel()
		f := newFakeAPI(t)
		c := f.client()
		fakeAPIWarm(t, f, c, nil)
		f.revoke()
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(fakeAPITokenPath, 2)
		f.wantCalls("custom/send", 3)
	})
	t.Run("invalid once, WeChat gives the same token again", func(t *testing.T) {
		t.Parallel()
		f := newFakeAPI(t)
		c := f.client()
		fakeAPIWarm(t, f, c, nil)
		f.set(func(f *fakeAPI) { f.refuse = 1 })
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(fakeAPITokenPath, 2)
		f.wantCalls("custom/send", 3)
	})
	t.Run("expired at WeChat before we think so", func(t *testing.T) {
		t.Parallel()
		f := newFakeAPI(t)
		c := f.client()
		fakeAPIWarm(t, f, c, nil)
		f.set(func(f *fakeAPI) { f.tokens[f.current] = f.clock.Now() })
		if _, err := c.OnlineList(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(fakeAPITokenPath, 2)
		f.wantCalls("getonlinekflist", 2)
	})
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		f := newFakeAPI(t)
		c := f.client()
		fakeAPIWarm(t, f, c, nil)
		f.set(func(f *fakeAPI) { f.refuse = -1 })
		e := fakeAPIError(t, fakeAPISend(t, c))
		if e.Op != "send" || e.Code != 40001 || e.RetryAfter() != 0 || !e.Retryable() || e.MaybeSent() {
			t.Errorf("error %v, retry after %s", e, e.RetryAfter())
		}
		f.wantCalls(fakeAPITokenPath, 2) // the first one and one other
		f.wantCalls("custom/send", 3)    // the one that worked, and two
		e = fakeAPIError(t, fakeAPISend(t, c))
		if e.Code != 40001 || e.RetryAfter() <= 0 || !strings.Contains(e.Error(), "no new token so soon after an error") {
			t.Errorf("right after: %v, retry after %s", e, e.RetryAfter())
		}
		fakeAPIHidden(t, e.Error())
		f.wantCalls(fakeAPITokenPath, 2)
		f.wantCalls("custom/send", 3)
		if s := c.TokenState("shop"); s.Err == nil || !s.Expires.IsZero() {
			t.Errorf("TokenState = %+v, want no token and an error", s)
		}

		f.set(func(f *fakeAPI) { f.refuse = 0 })
		f.clock.Advance(e.RetryAfter())
		if err := fakeAPISend(t, c); err != nil {
			t.Errorf("when tokens are taken again: %v", err)
		}
		if s := c.TokenState("shop"); s.Err != nil {
			t.Errorf("TokenState = %+v, want no error", s)
		}
	})
}

// Whoever else spoils the tokens, and however many calls there are: fetches
// come at ever longer intervals, and a token that has proven good ends that.
func TestTokenStorm(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, nil)
	f.set(func(f *fakeAPI) { f.refuse = -1 })
	for range 300 { // ten minutes
		_ = fakeAPISend(t, c)
		f.clock.Advance(2 * time.Second)
	}
	if n := len(f.seen(fakeAPITokenPath)); n < 15 || n > 40 {
		t.Errorf("%d fetches in ten minutes of refusals", n)
	}

	f.set(func(f *fakeAPI) { f.refuse = 0 })
	f.clock.Advance(maxPause)
	for range 2 {
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(proven)
	}
	f.revoke()
	if err := fakeAPISend(t, c); err != nil {
		t.Errorf("a refusal long after the storm: %v", err)
	}
}

// A token that works for a moment and is spoiled again is a storm too.
func TestTokenSpoiledAgainAndAgain(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	sent := 0
	for range 300 { // five minutes
		if fakeAPISend(t, c) == nil {
			sent++
		}
		f.clock.Advance(time.Second)
		f.revoke()
	}
	if n := len(f.seen(fakeAPITokenPath)); n > 25 || sent < 5 {
		t.Errorf("%d fetches for %d messages in five minutes", n, sent)
	}
}

func TestTokenFetchPauses(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	f.set(func(f *fakeAPI) {
		f.before = func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"errcode":40164,"errmsg":"invalid ip 192.0.2.1, not in whitelist rid: 1"}`))
			return true
		}
	})
	var pauses []time.Duration
	for range 9 {
		e := fakeAPIError(t, fakeAPISend(t, c))
		if e.Reason() != "ip_not_allowed" || !e.Retryable() || e.MaybeSent() {
			t.Fatalf("error %v", e)
		}
		fetches := len(f.seen(fakeAPITokenPath))
		e = fakeAPIError(t, fakeAPISend(t, c)) // at once
		f.wantCalls(fakeAPITokenPath, fetches)
		if e.Reason() != "ip_not_allowed" || !e.Retryable() || !strings.Contains(e.Error(), "192.0.2.1") {
			t.Fatalf("while fetches rest: %v", e)
		}
		pauses = append(pauses, e.RetryAfter())
		f.clock.Advance(e.RetryAfter())
		if got := len(f.seen(fakeAPITokenPath)); got != fetches {
			t.Fatalf("%d fetches, want %d", got, fetches)
		}
	}
	for i, most := range []int{1, 2, 4, 8, 16, 30, 30, 30, 30} {
		if s := pauses[i].Seconds(); s < float64(most)*3/4 || s > float64(most) {
			t.Errorf("pause %d = %s, want %d s or up to a quarter less", i+1, pauses[i], most)
		}
	}
	f.wantCalls(fakeAPITokenPath, 9)
	if got := c.Stopped("shop"); len(got) != 1 || got[0].Op != "token" || got[0].Why != "ip_not_allowed" {
		t.Errorf("stopped: %+v", got)
	}
	f.set(func(f *fakeAPI) { f.before = nil })
	if err := fakeAPISend(t, c); err != nil {
		t.Errorf("after the address was allowed: %v", err)
	}
	if got := c.Stopped("shop"); len(got) != 0 {
		t.Errorf("stopped: %+v", got)
	}
}

// A refused token means the credential where there is no token yet.
func TestTokenOfWrongSecret(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.before = fakeAPIAnswers(`{"errcode":40001,"errmsg":"invalid credential rid: 1"}`)
	e := fakeAPIError(t, fakeAPISend(t, f.client()))
	if e.Op != "token" || e.Code != 40001 || e.Retryable() || e.Reason() != "bad_secret" {
		t.Errorf("error %v, retryable %v", e, e.Retryable())
	}
	f.wantCalls(fakeAPITokenPath, 1)
}

func TestTokenBurst(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*fakeAPI){
		"expired by our clock": func(f *fakeAPI) { f.clock.Advance(3 * time.Hour) },
		"expired at WeChat":    func(f *fakeAPI) { f.set(func(f *fakeAPI) { f.tokens[f.current] = f.clock.Now() }) },
		"revoked":              func(f *fakeAPI) { f.revoke() },
		"due for renewal":      func(f *fakeAPI) { f.clock.Advance(117 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			c := f.client()
			fakeAPIWarm(t, f, c, nil)
			spoil(f)
			fakeAPIBurst(t, c, 100)
			f.wantCalls(fakeAPITokenPath, 2)
		})
	}
}

func fakeAPIBurst(t *testing.T, c *Client, n int) {
	t.Helper()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			<-start
			if err := fakeAPISend(t, c); err != nil {
				t.Errorf("in the burst: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
}

// Who waits for another's fetch can give up, and who fetches and gives up
// harms nobody.
func TestTokenCallersGiveUp(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	f.set(func(f *fakeAPI) {
		f.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == fakeAPITokenPath {
				arrived <- struct{}{}
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			return false
		}
	})
	send := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() { done <- c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi") }()
		return done
	}
	fetching, stopFetching := context.WithCancel(t.Context())
	waiting, stopWaiting := context.WithCancel(t.Context())
	first := send(fetching)
	<-arrived
	second, third := send(waiting), send(t.Context())
	stopWaiting()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("who waited and gave up: %v", err)
	}
	stopFetching()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who fetched and gave up: %v", err)
	}
	<-arrived // the third fetches now, without a pause
	close(release)
	if err := <-third; err != nil {
		t.Errorf("who waited on: %v", err)
	}
}

func TestTokenShared(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	cache := newFakeAPICache()
	share := func(o *ClientOptions) { o.Tokens = cache }
	a, b := f.client(share), f.client(share)
	send := func(c *Client, fetches int) {
		t.Helper()
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
		f.wantCalls(fakeAPITokenPath, fetches)
	}
	send(a, 1)
	send(b, 1)
	if sa, sb := a.TokenState("shop"), b.TokenState("shop"); sa.Expires != sb.Expires {
		t.Errorf("tokens end at %s and %s", sa.Expires, sb.Expires)
	}
	f.revoke()
	send(b, 2) // refused: drops the shared one, fetches another
	send(a, 2) // refused: finds the other one in the cache
	if len(cache.drops) != 1 {
		t.Errorf("%d tokens dropped, want 1", len(cache.drops))
	}
	f.clock.Advance(117 * time.Minute)
	send(a, 3) // renews
	send(b, 3)

	// The app's app_id has changed: what is shared belongs to another account.
	stranger := f.client(share, func(o *ClientOptions) { o.Apps[0].AppID = "wx00000000000000bb" })
	if e := fakeAPIError(t, fakeAPISend(t, stranger)); e.Reason() != "bad_app_id" {
		t.Errorf("another account: %v", e)
	}
	send(f.client(share), 4) // 3 and the stranger's; a new replica needs none
}

func TestTokenSharedButUseless(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]time.Duration{"over": -time.Second, "nearly over": 20 * time.Second} {
		f := newFakeAPI(t)
		cache := newFakeAPICache()
		cache.tokens["shop"] = kefu.Token{Value: fakeAPIAppID + " T0K3N_old", Expires: f.clock.Now().Add(left)}
		if err := fakeAPISend(t, f.client(func(o *ClientOptions) { o.Tokens = cache })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.wantCalls("custom/send", 1)
		if got := cache.tokens["shop"]; got.Expires != f.clock.Now().Add(2*time.Hour) {
			t.Errorf("%s: shared token not replaced", name)
		}
	}
}

func TestTokenCacheDown(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	cache := newFakeAPICache()
	cache.fails = errors.New("dial tcp 127.0.0.1:6379: connection refused")
	var lines bytes.Buffer
	c := f.client(func(o *ClientOptions) { o.Tokens, o.Logger = cache, zerolog.New(&lines) })
	f.set(func(f *fakeAPI) { f.before = fakeAPIAnswers(`{"errcode":-1}`) })
	for range 2 { // nothing works
		if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "busy" {
			t.Fatalf("error %v", e)
		}
		f.clock.Advance(2 * time.Second)
	}
	fakeAPIWarm(t, f, c, nil) // WeChat works
	f.wantCalls(fakeAPITokenPath, 3)
	if cache.asked != 1 {
		t.Errorf("cache asked %d times in 4 s, want once and then left alone", cache.asked)
	}
	f.clock.Advance(117 * time.Minute)
	if err := fakeAPISend(t, c); err != nil {
		t.Fatal(err)
	}
	f.wantCalls(fakeAPITokenPath, 4)
	if n := strings.Count(lines.String(), "token cache does not answer"); n != 2 {
		t.Errorf("%d lines about the cache in 2 h, want 2:\n%s", n, lines.String())
	}
	fakeAPIHidden(t, lines.String())

	cache.fails = nil
	f.clock.Advance(time.Minute)
	f.revoke()
	if err := fakeAPISend(t, c); err != nil {
		t.Fatal(err)
	}
	if len(cache.tokens) != 1 {
		t.Error("the token is not shared when the cache is back")
	}
}

func TestTokenCacheHangs(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	cache := newFakeAPICache()
	cache.hangs = true
	c := f.client(func(o *ClientOptions) { o.Tokens = cache })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi"); err != nil {
		t.Fatal(err)
	}
	if cache.asked != 1 {
		t.Errorf("cache asked %d times, want once and then left alone", cache.asked)
	}
}
