package main

import "testing"

// TestCollectAt: a small heap may grow by up to 32 MB, a large one as Go would have it.
func TestCollectAt(t *testing.T) {
	t.Parallel()
	for alive, want := range map[uint64]int{
		0: 1600, 1 << 20: 1600, 4 << 20: 800, 8 << 20: 400, 10 << 20: 200, 16 << 20: 200, 17 << 20: 100, 64 << 20: 100, 10 << 30: 100,
	} {
		if got := collectAt(alive); got != want {
			t.Errorf("with %d MB alive the heap may grow by %d%%, want %d%%", alive>>20, got, want)
		}
	}
}
