package wechat

import (
	"context"
	"strings"
	"time"

	"kefud/kefu"
)

const (
	minShared    = time.Minute // a shared token that ends sooner is not taken over
	cacheTimeout = 300 * time.Millisecond
	cachePause   = 5 * time.Second // after an error the cache is left alone for so long
)

// A TokenCache shares access tokens between replicas. It is a convenience:
// while it fails, each process goes on with tokens of its own. A token's Value
// is opaque to it and secret.
type TokenCache interface {
	// Token gives the app's shared token; false if there is none.
	Token(ctx context.Context, app kefu.AppID) (kefu.Token, bool, error)
	// PutToken replaces the app's shared token, to be kept until it expires.
	PutToken(ctx context.Context, app kefu.AppID, t kefu.Token) error
	// DropToken removes the app's shared token if it still has this value.
	DropToken(ctx context.Context, app kefu.AppID, value string) error
}

// shared gives the token of the cache if it is another one than the one held
// or refused, and lasts. A refused one is dropped from the cache.
func (k *keeper) shared(ctx context.Context) (kefu.Token, bool) {
	if k.cache == nil || k.now().Before(k.cacheRest) {
		return kefu.Token{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	t, ok, err := k.cache.Token(ctx, k.cred.App)
	if err != nil {
		k.cacheFailed(err)
		return kefu.Token{}, false
	}
	value, ours := strings.CutPrefix(t.Value, k.owner())
	if !ok || !ours || value == "" {
		return kefu.Token{}, false
	}
	k.mu.Lock()
	bad, held := k.bad, k.pass.value
	k.mu.Unlock()
	if value == bad {
		if err = k.cache.DropToken(ctx, k.cred.App, t.Value); err != nil {
			k.cacheFailed(err)
		}
		return kefu.Token{}, false
	}
	lasts := t.Expires.Sub(k.now()) >= minShared
	return kefu.Token{Value: value, Expires: t.Expires}, lasts && value != held
}

func (k *keeper) share(ctx context.Context, t kefu.Token) {
	if k.cache == nil || k.now().Before(k.cacheRest) {
		return
	}
	// The token is there: that its finder has given up is no reason not to share it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cacheTimeout)
	defer cancel()
	t.Value = k.owner() + t.Value
	if err := k.cache.PutToken(ctx, k.cred.App, t); err != nil {
		k.cacheFailed(err)
	}
}

// owner stands before a shared value. It keeps a token from being used after
// the app's app_id has been changed in the configuration.
func (k *keeper) owner() string { return k.cred.AppID + " " }

func (k *keeper) cacheFailed(err error) {
	now := k.now()
	k.cacheRest = now.Add(cachePause)
	if k.cacheLog.due(now, "") {
		k.log.Warn().Err(err).Msg("token cache does not answer, tokens are not shared")
	}
}
