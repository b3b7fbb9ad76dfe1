package store_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

func TestVisitKeysAreThoseOfEachKind(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 16, 4096} {
		s, err := store.Open(t.Context(), store.Options{Partitions: partitions})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		for i := range 200 {
			c := kefu.CustomerID{App: "shop", User: fmt.Sprintf("oABC%d", i)}
			together, apart := s.VisitKeys(kefu.Receipt{
				Customer: c, Key: kefu.MessageKey(fmt.Sprintf("m:%d", i)), Default: "cs1", DefaultSticky: time.Duration(i) * sticky,
			})
			same(t, c.User, together, apart)
		}
	}
}

// A visit's keys are one text, written down in room that soon is enough, however long its
// parts are.
func TestVisitAllocatesOnce(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	s, err := store.Open(t.Context(), store.Options{Partitions: 4096, Prefix: strings.Repeat("p", 40)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var room []byte
	for length := range 129 { // no openid is longer
		c := kefu.CustomerID{App: "shop", User: strings.Repeat("u", length)}
		if n := testing.AllocsPerRun(10, func() {
			room = s.Visit(room, kefu.Receipt{Customer: c, Key: "24000000000000000", Default: "cs1", DefaultSticky: math.MaxInt64})
		}); n != 1 {
			t.Errorf("an openid of %d bytes: %.0f allocations, want 1", length, n)
		}
	}
}
