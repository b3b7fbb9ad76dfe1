package budget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kefud/internal/budget"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		whole      time.Duration // 0 = not a Budget
		part, want time.Duration
	}{
		{"sooner", 3 * time.Second, time.Second, time.Second},
		{"sooner, at the next tick", 3 * time.Second, time.Second - 4999*time.Microsecond, time.Second},
		{"later", time.Second, 3 * time.Second, time.Second},
		{"sooner, and its tick is later", time.Second - time.Millisecond, time.Second - 2*time.Millisecond, time.Second - time.Millisecond},
		{"of any context", 0, time.Second - 1, time.Second - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, ctx := time.Now(), t.Context()
				clock := budget.NewClock()
				if tt.whole > 0 {
					b := new(budget.Budget).Start(ctx, start.Add(tt.whole))
					defer b.Cancel()
					ctx = b
				}
				inner, cancel := clock.Within(ctx, start, tt.part)
				defer cancel()
				derived, cancelDerived := context.WithCancel(inner)
				defer cancelDerived()
				if end, ok := inner.Deadline(); !ok || end.Sub(start) != tt.want || inner.Err() != nil {
					t.Errorf("it ends at %s, want after %s; and %v now", end, tt.want, inner.Err())
				}
				<-inner.Done()
				if took := time.Since(start); took != tt.want || !errors.Is(inner.Err(), context.DeadlineExceeded) {
					t.Errorf("it ends after %s with %v, want %s", took, inner.Err(), tt.want)
				}
				synctest.Wait()
				if !errors.Is(derived.Err(), context.DeadlineExceeded) {
					t.Errorf("what is derived from it: %v", derived.Err())
				}
				select {
				case <-inner.Done(): // whoever asks late learns of it too
				default:
					t.Error("it is not over any more")
				}
			})
		})
	}
}

// What is kept of a part, as by a command that still waits to be sent, stays as it is.
func TestPartsAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock, start := budget.NewClock(), time.Now()
		b := new(budget.Budget).Start(context.WithValue(t.Context(), key{}, "value"), start.Add(time.Hour))
		defer b.Cancel()
		var parts []context.Context
		for i := range 3 {
			p, cancel := clock.Within(b, start, time.Duration(1+i)*time.Second)
			cancel()
			parts = append(parts, p)
		}
		for i, p := range parts {
			<-p.Done()
			if took := time.Since(start); took != time.Duration(1+i)*time.Second || p.Value(key{}) != "value" {
				t.Errorf("part %d ends after %s, and has the value %v", i, took, p.Value(key{}))
			}
		}
	})
}

// Who waits for a part of a Budget costs nothing but the Budget.
func TestClockAllocates(t *testing.T) { //nolint:paralleltest // allocations of other tests would count
	clock, ctx, start := budget.NewClock(), t.Context(), time.Now()
	if n := testing.AllocsPerRun(100, func() {
		b := new(budget.Budget).Start(ctx, start.Add(time.Hour))
		p, cancel := clock.Within(b, start, time.Minute)
		select {
		case <-p.Done():
			t.Error("over at once")
		default:
		}
		cancel()
		b.Cancel()
	}); n > 1 {
		t.Errorf("%.0f allocations, want 1 at most", n)
	}
}
