package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// The two token interfaces do not touch each other's tokens. stable_token:
// https://developers.weixin.qq.com/doc/channels/API/leagueheadsupplier/getStableAccessToken.html, read 2026-11.
const (
	tokenOverlap    = 5 * time.Minute  // the new token and the one before are both valid
	forceInterval   = 30 * time.Second // a forced refresh within it does nothing
	forcesPerDay    = 20
	tokenCharacters = 512 // callers are to have room for as many
	keepTokens      = 16  // per line; older ones are no longer known
)

// A token is an access token that was handed out.
type token struct {
	value   string
	account *Account
	expires time.Time
	revoked bool
}

// A tokenLine is the succession of an account's tokens of one interface.
type tokenLine struct {
	tokens []*token // the last is the current one
	forced []time.Time
}

func (l *tokenLine) current() *token {
	if len(l.tokens) == 0 {
		return nil
	}
	return l.tokens[len(l.tokens)-1]
}

// issue puts a new token at the end of a line. Locked.
func (a *Account) issue(l *tokenLine) *token {
	b := a.box
	t := &token{value: b.text(letters+"-_", tokenCharacters), account: a, expires: b.opts.Now().Add(b.opts.TokenLife)}
	b.tokens[t.value] = t
	l.tokens = append(l.tokens, t)
	for len(l.tokens) > keepTokens {
		delete(b.tokens, l.tokens[0].value)
		l.tokens = l.tokens[1:]
	}
	return t
}

// ExpireTokens ends all tokens of the account as time would: 42001.
func (a *Account) ExpireTokens() {
	a.box.mu.Lock()
	defer a.box.unlock()
	now := a.box.opts.Now()
	for _, l := range []*tokenLine{&a.stable, &a.basic} {
		for _, t := range l.tokens {
			t.expires = now
		}
	}
}

// RevokeTokens ends all tokens of the account as somebody else's refresh would: 40001.
func (a *Account) RevokeTokens() {
	a.box.mu.Lock()
	defer a.box.unlock()
	for _, l := range []*tokenLine{&a.stable, &a.basic} {
		l.revoke()
	}
}

func (l *tokenLine) revoke() {
	for _, t := range l.tokens {
		t.revoked = true
	}
}

// authorize finds the account of an access token. Locked.
func (b *Box) authorize(value string) (*Account, problem) {
	t := b.tokens[value]
	switch {
	case value == "":
		return nil, problem{41001, "access_token missing"}
	case t == nil || t.revoked:
		return nil, problem{40001, "invalid credential, access_token is invalid or not latest"}
	case !b.opts.Now().Before(t.expires):
		return t.account, problem{42001, "access_token expired"}
	}
	return t.account, problem{}
}

// credential checks the credentials of a token call. Locked.
func (b *Box) credential(grant, appID, secret string) (*Account, problem) {
	i := slices.IndexFunc(b.accounts, func(a *Account) bool { return a.o.AppID == appID })
	switch {
	case appID == "":
		return nil, problem{41002, "appid missing"}
	case secret == "":
		return nil, problem{41004, "appsecret missing"}
	case grant != "client_credential":
		return nil, problem{40002, "invalid grant_type"}
	case i < 0:
		return nil, problem{40013, "invalid appid"}
	case b.accounts[i].o.Secret != secret:
		return nil, problem{40125, "invalid appsecret"}
	}
	return b.accounts[i], problem{}
}

type tokenReply struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

func (t *token) reply(now time.Time) tokenReply {
	return tokenReply{AccessToken: t.value, ExpiresIn: int64(t.expires.Sub(now) / time.Second)}
}

// stableToken is POST /cgi-bin/stable_token: the same token until 5 minutes
// before its end, then a new one beside it. Forced, a new one at once, and the
// former is dead.
func (b *Box) stableToken(c call) (any, problem) {
	var in struct {
		GrantType string `json:"grant_type"`
		AppID     string `json:"appid"`
		Secret    string `json:"secret"`
		Force     bool   `json:"force_refresh"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return nil, badJSON
	}
	a, p := b.credential(in.GrantType, in.AppID, in.Secret)
	if p.code != 0 {
		return nil, p
	}
	now, l := b.opts.Now(), &a.stable
	if in.Force {
		if p = a.force(now); p.code != 0 {
			return nil, p
		}
	}
	t := l.current()
	if t == nil || t.revoked || t.expires.Sub(now) <= min(tokenOverlap, b.opts.TokenLife/2) {
		t = a.issue(l)
	}
	return t.reply(now), problem{}
}

// force revokes the stable tokens, unless it was done a moment ago. What is
// answered when the day's 20 are used up is not documented: taken to be the
// errcode of every daily quota.
func (a *Account) force(now time.Time) problem {
	l := &a.stable
	l.forced = slices.DeleteFunc(l.forced, func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
	n := len(l.forced)
	switch {
	case n > 0 && now.Sub(l.forced[n-1]) < forceInterval:
		return problem{}
	case n >= forcesPerDay:
		return problem{45009, "reach max api daily quota limit"}
	}
	l.forced = append(l.forced, now)
	l.revoke()
	return problem{}
}

// basicToken is GET /cgi-bin/token: a new token with every call, and the former
// dies after a short overlap. The overlap is well known and on no current page;
// it is taken to be that of stable_token.
func (b *Box) basicToken(c call) (any, problem) {
	a, p := b.credential(c.query.Get("grant_type"), c.query.Get("appid"), c.query.Get("secret"))
	if p.code != 0 {
		return nil, p
	}
	now := b.opts.Now()
	if former := a.basic.current(); former != nil && former.expires.Sub(now) > tokenOverlap {
		former.expires = now.Add(tokenOverlap)
	}
	return a.issue(&a.basic).reply(now), problem{}
}
