package budget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kefud/internal/budget"
)

type key struct{}

func TestBudgetEndsAtItsInstantAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		b := new(budget.Budget).Start(parent, time.Now().Add(time.Second))
		defer b.Cancel()
		cancel()
		if b.Value(key{}) != "value" {
			t.Error("it has lost its values")
		}
		if end, ok := b.Deadline(); !ok || !end.Equal(time.Now().Add(time.Second)) {
			t.Errorf("it ends at %s", end)
		}
		<-time.After(time.Second - 1)
		synctest.Wait()
		select {
		case <-b.Done():
			t.Error("it ends too early")
		default:
		}
		if err := b.Err(); err != nil {
			t.Errorf("too early: %v", err)
		}
		<-time.After(1)
		synctest.Wait()
		select {
		case <-b.Done():
		default:
			t.Error("it does not end")
		}
		if err := b.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over: %v", err)
		}
	})
}

// Contexts that others derive from it end with it.
func TestBudgetEndsWhatIsDerived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := new(budget.Budget).Start(t.Context(), time.Now().Add(time.Second))
		defer b.Cancel()
		derived, cancel := context.WithCancel(b)
		defer cancel()
		start := time.Now()
		<-derived.Done()
		if took := time.Since(start); took != time.Second || !errors.Is(derived.Err(), context.DeadlineExceeded) {
			t.Errorf("it ends after %s with %v", took, derived.Err())
		}
	})
}

// What nobody waits for costs nothing but itself.
func TestBudgetAllocates(t *testing.T) { //nolint:paralleltest // allocations of other tests would count
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		b := new(budget.Budget).Start(ctx, time.Now().Add(time.Second))
		if b.Err() != nil {
			t.Error("over at once")
		}
		b.Cancel()
	}); n > 1 {
		t.Errorf("%.0f allocations, want 1 at most", n)
	}
}

// Who waits, from before or after, learns that it was canceled.
func TestBudgetCanceled(t *testing.T) {
	t.Parallel()
	for _, waits := range []string{"before", "after"} {
		t.Run(waits, func(t *testing.T) {
			t.Parallel()
			b := new(budget.Budget).Start(t.Context(), time.Now().Add(time.Hour))
			if waits == "before" {
				_ = b.Done()
			}
			b.Cancel()
			b.Cancel()
			<-b.Done()
			if err := b.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
