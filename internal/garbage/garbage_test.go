package garbage

import "testing"

func TestGarbage(t *testing.T) {
	t.Parallel()
	for inUse, want := range map[uint64]int{0: 400, 8 << 20: 400, 16 << 20: 300, 48 << 20: 100, 200 << 20: 50, 4 << 30: 50} {
		if got := percent(inUse); got != want {
			t.Errorf("%d MiB in use: %d %%, want %d %%", inUse>>20, got, want)
		}
	}
}
