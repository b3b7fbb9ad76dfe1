package memo_test

import (
	"sync"
	"testing"

	"kefud/internal/memo"
)

func TestMemoGivesEverybodyTheSame(t *testing.T) {
	t.Parallel()
	var m memo.Memo[string, *int]
	got := make([]*int, 64)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = m.Get([]string{"a", "b"}[i%2], func(string) *int { return &i }) })
	}
	all.Wait()
	for i := range got {
		if got[i] != got[i%2] {
			t.Errorf("caller %d has another value than caller %d", i, i%2)
		}
	}
	if got[0] == got[1] || *got[0]%2 != 0 || *got[1]%2 != 1 {
		t.Errorf("the keys share a value, or have each other's")
	}
}

func TestMemoAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	var m memo.Memo[[2]string, int]
	made := 0
	count := func([2]string) int { made++; return made }
	m.Get([2]string{"a", "b"}, count)
	if n := testing.AllocsPerRun(100, func() { m.Get([2]string{"a", "b"}, count) }); n != 0 || made != 1 {
		t.Errorf("%v allocations, made %d times; want none, and once", n, made)
	}
}
