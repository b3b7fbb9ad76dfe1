package outbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kefud/kefu"
)

// admit has an app ask for workers until it is refused.
func admit(p *pool, app kefu.AppID) int {
	for n := 0; ; n++ {
		p.reserved++
		if !p.begin(app) {
			p.end(app, false, 0)
			return n
		}
	}
}

func TestPoolShares(t *testing.T) {
	t.Parallel()
	p := newPool(64)
	got := [3]int{admit(p, "a"), admit(p, "b"), admit(p, "c")}
	if want := [3]int{32, 16, 8}; got != want {
		t.Errorf("three greedy apps got %v workers, want %v", got, want)
	}
	for range 32 {
		p.end("a", true, time.Second)
	}
	if n := admit(p, "d"); n != 20 {
		t.Errorf("an app got %d of the 40 that became free, want 20", n)
	}
	if n := admit(newPool(1), "a"); n != 1 {
		t.Errorf("an app got %d workers of 1", n)
	}
}

func TestPoolReserveWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1)
		if n := p.reserve(t.Context()); n != 1 {
			t.Fatalf("reserved %d of 1", n)
		}
		p.begin("a")
		got := make(chan int, 1)
		go func() { got <- p.reserve(t.Context()) }()
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("reserved a worker who is not free")
		}
		p.end("a", true, 0)
		if n := <-got; n != 1 {
			t.Errorf("reserved %d, want 1", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { got <- p.reserve(ctx) }()
		synctest.Wait()
		cancel()
		if n := <-got; n != 0 {
			t.Errorf("reserved %d after the end, want 0", n)
		}
	})
}

func TestPoolTurns(t *testing.T) {
	t.Parallel()
	p := newPool(8)
	last := noon
	for range 40 {
		turn := p.turn("a", noon)
		if gap := turn.Sub(last); gap < 100*time.Millisecond || gap > 110*time.Millisecond {
			t.Fatalf("turn %v after the last, want what a lane usually takes, 100ms", gap)
		}
		last = turn
	}
	for range 100 {
		if turn := p.turn("a", noon); turn.Before(noon.Add(turnMost/2)) || turn.After(noon.Add(turnMost)) {
			t.Fatalf("turn after %v, want at most %v", turn.Sub(noon), turnMost)
		}
	}
	for range 100 {
		p.reserved++
		p.end("c", p.begin("c"), time.Second)
	}
	if gap := p.turn("c", noon).Sub(noon); gap < 900*time.Millisecond || gap > 1100*time.Millisecond {
		t.Errorf("turn after %v for an app whose lanes take 1s", gap)
	}
	if turn := p.turn("b", noon); turn.After(noon.Add(time.Second)) {
		t.Errorf("another app's first turn after %v", turn.Sub(noon))
	}
}
