package store_test

import (
	"fmt"
	"testing"

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
			together, apart := s.VisitKeys(c, kefu.MessageKey(fmt.Sprintf("m:%d", i)))
			same(t, c.User, together, apart)
		}
	}
}
