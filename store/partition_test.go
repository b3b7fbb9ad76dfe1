package store_test

import (
	"fmt"
	"hash/fnv"
	"testing"

	"kefud/kefu"
	"kefud/store"
)

// Where customers live must never change: those of a running installation would
// not be found any more.
func TestPartition(t *testing.T) {
	t.Parallel()
	const partitions = 4096
	s, err := store.Open(t.Context(), store.Options{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range 1000 {
		c := kefu.CustomerID{App: kefu.AppID(fmt.Sprintf("app%d", i%7)), User: fmt.Sprintf("oABCD-%d_%d", i*i, i)}
		h := fnv.New64a()
		_, _ = h.Write([]byte(string(c.App) + "\x00" + c.User))
		if got, want := s.Partition(c), int(h.Sum64()%partitions); got != want {
			t.Errorf("%s is in partition %d, want %d", c, got, want)
		}
	}
	if got := s.Partition(kefu.CustomerID{App: "shop", User: "oABCD1234567890abcdefghijk"}); got != 1351 {
		t.Errorf("partition %d, want 1351", got)
	}
}
