package wechat

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

const (
	// A token is renewed when this much of its life is left, a little later on
	// one replica than on another, so that one fetches and the others find the
	// new token in the cache. WeChat itself renews 5 minutes before the end:
	// whoever asks earlier gets the old token again.
	renewLead   = 5 * time.Minute
	renewJitter = time.Minute

	minHold  = 30 * time.Second // a token is used this long, however small its expires_in
	proven   = 10 * time.Second // a token that works this long makes refusals before it forgotten
	maxPause = 30 * time.Second
)

// TokenState is what is known of an app's access token in this process. The
// zero value is an app that the client does not know.
type TokenState struct {
	HasSecret bool      // without one there never is a token
	Fetched   time.Time // when this process got the token; zero while it has none
	Expires   time.Time // zero while it has none
	Err       error     // why the last try to get or use one failed; nil after a success
}

// TokenState tells how the app's token is, without any call.
func (c *Client) TokenState(app kefu.AppID) TokenState {
	a := c.account(app)
	if a == nil {
		return TokenState{}
	}
	return a.tokens.state()
}

// A pass is one token as it was handed out for one call.
type pass struct {
	value string
	turn  uint64 // tells two tokens of equal value apart: WeChat may give the refused one again
}

// A keeper holds one app's token. At most one caller at a time looks for
// another one; the rest wait for him, or use what there is while it is good.
type keeper struct {
	cred  Credential
	fetch func(context.Context) (kefu.Token, *APIError)
	spare func()     // is told that no fetch is needed any more: another replica's token will do
	cache TokenCache // nil = none
	now   func() time.Time
	log   zerolog.Logger

	looking chan struct{} // of one place, taken while somebody looks for a token

	mu       sync.Mutex
	pass     pass // value "" = none
	got      time.Time
	expires  time.Time
	renew    time.Time // look for another from then on
	bad      string    // the last value that WeChat refused
	refusals int       // since a token was proven
	failures int       // fetches since one succeeded
	rest     time.Time // no fetch before
	last     *APIError // what went wrong last

	cacheRest time.Time // touched only by who is looking
	cacheLog  complaint
	fetchLog  complaint
}

// get gives a token to call with. While fetches rest after an error it fails at
// once, with that error.
func (k *keeper) get(ctx context.Context) (pass, *APIError) {
	p, due, e := k.look()
	if !due {
		return p, e
	}
	if !k.begin(ctx, p) {
		if p.value != "" {
			return p, nil
		}
		return pass{}, gaveUp(opToken, k.cred.App, ctx.Err())
	}
	defer func() { <-k.looking }()
	if p, due, e = k.look(); !due { // the one before has found something
		return p, e
	}
	found, e := k.find(ctx)
	if e != nil && p.value != "" { // not renewed, but good still
		return p, nil
	}
	return found, e
}

// begin makes the caller the one who looks for a token. Nobody waits for that
// who has one that is still good.
func (k *keeper) begin(ctx context.Context, has pass) bool {
	if has.value != "" {
		select {
		case k.looking <- struct{}{}:
			return true
		default:
			return false
		}
	}
	select {
	case k.looking <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// look gives the token that is held, and whether another one is to be found; or
// why there is none.
func (k *keeper) look() (pass, bool, *APIError) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	resting := now.Before(k.rest)
	if k.pass.value != "" && (now.Before(k.expires) || now.Sub(k.got) < minHold) {
		return k.pass, !resting && !now.Before(k.renew), nil
	}
	if !resting {
		return pass{}, true, nil
	}
	e := *k.last
	e.maybe, e.wait = false, k.rest.Sub(now)
	e.Msg = publicText("no new token so soon after an error: "+e.Msg, nil)
	return pass{}, false, &e
}

// find takes over the shared token, or fetches one and shares it.
func (k *keeper) find(ctx context.Context) (pass, *APIError) {
	if t, ok := k.shared(ctx); ok {
		k.spare()
		return k.adopt(t), nil
	}
	t, e := k.fetch(ctx)
	if e != nil {
		k.failed(ctx, e)
		return pass{}, e
	}
	p := k.adopt(t)
	k.share(ctx, t)
	return p, nil
}

func (k *keeper) adopt(t kefu.Token) pass {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	left := t.Expires.Sub(now)
	k.got, k.expires = now, t.Expires
	k.renew = now.Add(max(left-renewLead+jitter(renewJitter), left/2, minHold))
	k.pass = pass{value: t.Value, turn: k.pass.turn + 1}
	k.bad, k.failures, k.rest, k.last = "", 0, time.Time{}, nil
	return k.pass
}

// failed notes a fetch that failed, unless that was the caller's doing or there
// was none.
func (k *keeper) failed(ctx context.Context, e *APIError) {
	if ctx.Err() != nil || e.untried {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.failures++
	k.last, k.rest = e, now.Add(pause(k.failures))
	if k.fetchLog.due(now, e.Reason()) {
		k.log.Warn().Err(e).Int("failures", k.failures).Msg("access token not fetched")
	}
}

// accepted notes that WeChat took the token.
func (k *keeper) accepted(p pass) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusals > 0 && p.turn == k.pass.turn && k.now().Sub(k.got) >= proven {
		k.refusals = 0
	}
}

// refused notes that WeChat did not take the token. Only if it is the one still
// held it is dropped: others who were refused the same one come later. The first
// refusal may be followed by a fetch at once; if tokens go on being refused,
// somebody else is spoiling them, and fetching faster would not help.
func (k *keeper) refused(p pass, e *APIError) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.turn != k.pass.turn || k.pass.value == "" {
		return
	}
	now := k.now()
	k.bad, k.pass.value = p.value, ""
	k.last = e
	k.refusals++
	if k.refusals > 1 {
		k.rest = now.Add(pause(k.refusals - 1))
	}
	if k.fetchLog.due(now, "refused") {
		k.log.Warn().Err(e).Int("refusals", k.refusals).Msg("access token refused")
	}
}

func (k *keeper) state() TokenState {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := TokenState{HasSecret: k.cred.Secret != ""}
	if k.pass.value != "" {
		s.Fetched, s.Expires = k.got, k.expires
	}
	if k.last != nil {
		s.Err = k.last
	}
	return s
}

// pause is how long fetches rest after so many errors in a row: about 1 s, 2 s,
// 4 s … 30 s.
func pause(errors int) time.Duration {
	d := maxPause
	if errors < 6 {
		d = min(d, time.Second<<(errors-1))
	}
	return d - jitter(d/4)
}

// jitter gives a random time below d.
func jitter(d time.Duration) time.Duration {
	return rand.N(d) //nolint:gosec // spreads load, guards nothing
}
