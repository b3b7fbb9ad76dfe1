package store_test

import (
	"strconv"
	"testing"
	"time"

	"kefud/internal/budget"
	"kefud/internal/race"
	"kefud/kefu"
)

// What the push of a customer who stays with his agent allocates between the router
// and Redis, the client library's part included, does not depend on the machine.
func TestReceiveAllocatesLittle(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	const runs, most = 200, 8
	s := server(t).open(t)
	p := newPerson(t, s, "oABCD1234567890abcdefgh00001")
	p.served("wang", 0)
	r := p.receipt()
	keys := make([]kefu.MessageKey, 0, runs+1)
	for i := range runs + 1 {
		keys = append(keys, kefu.MessageKey(strconv.Itoa(24000000000000000+i)))
	}
	next := 0
	got := testing.AllocsPerRun(runs, func() {
		r.Key = keys[next]
		next++
		ctx := new(budget.Budget).Start(t.Context(), time.Now().Add(time.Hour))
		defer ctx.Cancel()
		if got, err := s.Receive(ctx, r); err != nil || !got.Kept {
			t.Errorf("%+v, %v, want kept", got, err)
		}
	})
	if got > most+race.Allocations {
		t.Errorf("%.0f allocations, want at most %d", got, most)
	}
	t.Logf("%.0f allocations", got)
}
