package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A visit is what one Receive takes, in µs: to its caller, of the script's time in
// Redis, of Redis' CPU.
type visit struct{ call, script, cpu float64 }

// A tally adds up visits.
type tally struct {
	took               []float64
	calls, script, cpu float64
}

func (t *tally) visit() visit {
	slices.Sort(t.took)
	return visit{t.took[len(t.took)/2], t.script / t.calls, t.cpu / t.calls}
}

// visits has customers write, one after the other.
func (f *filled) visits(ctx context.Context, who []int, t *tally) error {
	before, err := f.spent(ctx)
	if err != nil {
		return err
	}
	for _, n := range who {
		begin := time.Now()
		got, err := f.receive(ctx, n, f.reach[n%f.apps])
		if err != nil {
			return err
		}
		if got.Owner == "" {
			return fmt.Errorf("customer %d is not remembered", n)
		}
		t.took = append(t.took, float64(time.Since(begin).Nanoseconds())/1e3)
	}
	after, err := f.spent(ctx)
	t.calls, t.script, t.cpu = t.calls+after.calls-before.calls, t.script+after.script-before.script, t.cpu+after.cpu-before.cpu
	return err
}

// A pair compares a full store with an empty one, round by round.
type pair struct{ full, empty []visit }

// compare has customers of both write, a few of these, a few of those. Nobody
// writes twice.
func (s *scaling) compare(ctx context.Context, full, empty *filled) (pair, error) {
	const times = 10 // that they take turns in a round
	few := empty.customers / (s.rounds + 1) / times
	some := func(f *filled) []int { return rand.New(rand.NewPCG(1, 2)).Perm(f.customers)[:few*times*(s.rounds+1)] } //nolint:gosec // any will do
	a, b := some(full), some(empty)
	var p pair
	for round := range s.rounds + 1 {
		var one, other tally
		for range times {
			if err := full.visits(ctx, a[:few], &one); err != nil {
				return p, err
			}
			if err := empty.visits(ctx, b[:few], &other); err != nil {
				return p, err
			}
			a, b = a[few:], b[few:]
		}
		if round > 0 { // the first warms
			p.full, p.empty = append(p.full, one.visit()), append(p.empty, other.visit())
		}
	}
	return p, nil
}

func column(v []visit, f func(visit) float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = f(v[i])
	}
	return out
}

// ratios are those of the rounds.
func ratios(a, b []float64) []float64 {
	out := slices.Clone(a)
	for i := range out {
		out[i] /= b[i]
	}
	return out
}
