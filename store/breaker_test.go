package store

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := &breaker{}
	allowed := func(what string, want bool) {
		t.Helper()
		if got := b.allow(now); got != want {
			t.Errorf("%s: allowed %t, want %t", what, got, want)
		}
	}
	for range tolerated - 1 {
		b.failed(now)
	}
	allowed("before too many failures", true)
	b.succeeded()
	for range tolerated - 1 {
		b.failed(now)
	}
	allowed("failures in a row count", true)
	b.failed(now)
	allowed("too many failures", false)
	now = now.Add(pause - 1)
	allowed("within the pause", false)
	now = now.Add(1)
	allowed("after it", true)
	allowed("while one tries", false)
	now = now.Add(pause)
	allowed("when that one is late", true)
	b.failed(now)
	allowed("when it failed", false)
	b.looking(now.Add(3 * pause))
	now = now.Add(2 * pause)
	allowed("while somebody looks", false)
	b.succeeded()
	allowed("when one succeeded", true)
	allowed("and from then on", true)
	b.looking(now.Add(pause))
	allowed("although somebody looks", true)
}

func TestRefresherRoom(t *testing.T) {
	t.Parallel()
	m, err := newMeter(nil)
	if err != nil {
		t.Fatalf("make meter: %v", err)
	}
	r := refresher{Store: &Store{meter: m}, asked: make(chan *refresh, 2*refreshBatch)}
	for range 3 * refreshBatch {
		r.ask(&refresh{})
	}
	if n := len(r.more(<-r.asked)); n != refreshBatch {
		t.Errorf("a batch of %d, want %d", n, refreshBatch)
	}
	if n := len(r.asked); n != refreshBatch {
		t.Errorf("%d wait, want %d: the first batches, the rest being dropped", n, refreshBatch)
	}
}

func TestSafe(t *testing.T) {
	t.Parallel()
	s := &Store{secrets: secrets(Options{Username: "admin", Password: "hunter2"})}
	for text, want := range map[string]string{
		"WRONGPASS invalid username-password pair or user is disabled.":         "WRONGPASS invalid username-password pair or user is disabled.",
		"NOPERM User admin has no permissions to access the 'kefud:{1}:x' key":  "NOPERM User <redacted> has no permissions to access the",
		"ERR unknown command `EVALSHA`, with args beginning with: `sha` `oX4k`": "ERR unknown command",
		"dial tcp: hunter2 refused": "dial tcp: <redacted> refused",
	} {
		if got := s.safe(text); got != want {
			t.Errorf("safe(%q) = %q, want %q", text, got, want)
		}
	}
}
