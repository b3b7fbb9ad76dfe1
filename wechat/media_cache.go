package wechat

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// mediaKept bounds the copies that a process remembers by itself.
const mediaKept = 4096

// A MediaCache remembers which picture of an app is the copy of which picture
// of another. It is a convenience: what it forgets is copied again. A media_id
// is opaque to it.
type MediaCache interface {
	// Media gives the media_id of an app's copy of a picture; false if there is none.
	Media(ctx context.Context, to kefu.AppID, m kefu.Media) (string, bool, error)
	// PutMedia remembers a copy for a time, in place of the one before.
	PutMedia(ctx context.Context, to kefu.AppID, m kefu.Media, id string, ttl time.Duration) error
}

// A copyKey names a picture and the app that a copy of it is for.
type copyKey struct {
	to kefu.AppID
	of kefu.Media
}

// A mediaMemory is a MediaCache of this process alone.
type mediaMemory struct {
	now func() time.Time

	mu     sync.Mutex
	copies map[copyKey]lapsing
}

// A lapsing media_id.
type lapsing struct {
	id    string
	until time.Time
}

func newMediaMemory(now func() time.Time) *mediaMemory {
	return &mediaMemory{now: now, copies: make(map[copyKey]lapsing)}
}

// Media gives a copy that has not lapsed.
func (m *mediaMemory) Media(_ context.Context, to kefu.AppID, of kefu.Media) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.copies[copyKey{to, of}]
	if !ok || !m.now().Before(c.until) {
		return "", false, nil
	}
	return c.id, true, nil
}

// PutMedia remembers a copy. The one that lapses first makes room for it.
func (m *mediaMemory) PutMedia(_ context.Context, to kefu.AppID, of kefu.Media, id string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := copyKey{to, of}
	if _, there := m.copies[k]; !there && len(m.copies) >= mediaKept {
		delete(m.copies, m.first())
	}
	m.copies[k] = lapsing{id: id, until: m.now().Add(ttl)}
	return nil
}

func (m *mediaMemory) first() copyKey {
	var first copyKey
	var until time.Time
	for k, c := range m.copies {
		if until.IsZero() || c.until.Before(until) {
			first, until = k, c.until
		}
	}
	return first
}

// A mediaRecall asks a MediaCache, as long as that answers.
type mediaRecall struct {
	cache MediaCache
	now   func() time.Time
	log   zerolog.Logger

	mu        sync.Mutex
	rest      time.Time // it is left alone until then
	complaint complaint
}

// get gives the media_id of a copy; "" if none is known.
func (r *mediaRecall) get(ctx context.Context, k copyKey) string {
	if r.resting() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	id, ok, err := r.cache.Media(ctx, k.to, k.of)
	if err != nil {
		r.failed(err)
		return ""
	}
	if !ok {
		return ""
	}
	return id
}

func (r *mediaRecall) put(ctx context.Context, k copyKey, id string, ttl time.Duration) {
	if ttl <= 0 || r.resting() {
		return
	}
	// The copy is there: that its maker has given up is no reason to forget it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cacheTimeout)
	defer cancel()
	if err := r.cache.PutMedia(ctx, k.to, k.of, id, ttl); err != nil {
		r.failed(err)
	}
}

func (r *mediaRecall) resting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Before(r.rest)
}

func (r *mediaRecall) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.rest = now.Add(cachePause)
	if r.complaint.due(now, "") {
		r.log.Warn().Err(err).Msg("media cache does not answer, pictures are copied again")
	}
}
