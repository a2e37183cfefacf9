package main

import (
	"math"
	"testing"

	"tollgate/envoy"
)

// TestWithinMeans: what is asked for stands, and what is not lies within what this machine has.
func TestWithinMeans(t *testing.T) {
	t.Parallel()
	if got := withinMeans(envoy.Bootstrap{MaxHeapBytes: 1 << 20, MaxConnections: 7}); got.MaxHeapBytes != 1<<20 || got.MaxConnections != 7 {
		t.Errorf("what was asked for became %+v", got)
	}
	got := withinMeans(envoy.Bootstrap{})
	if got.MaxHeapBytes == 0 || got.MaxHeapBytes > envoy.DefaultMaxHeapBytes || got.MaxHeapBytes > memory()/2 {
		t.Errorf("a heap of %d bytes, where there are %d", got.MaxHeapBytes, memory())
	}
	if got.MaxConnections == 0 || got.MaxConnections > plentyConnections || got.MaxConnections >= openFiles() {
		t.Errorf("%d connections, where there are %d files", got.MaxConnections, openFiles())
	}
}

// TestTotal reads what Linux writes, and what it does not.
func TestTotal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{
		"MemTotal:       24576000 kB\nMemFree:  1 kB\n": 24576000 << 10,
		"MemTotal: none kB\n":                           math.MaxUint64,
		"MemTotal:":                                     math.MaxUint64,
		"":                                              math.MaxUint64,
	} {
		if got := total([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}
