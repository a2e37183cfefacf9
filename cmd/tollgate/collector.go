package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbage is how many dead bytes are worth a collection. What one costs depends on what is alive, so where
	// that is little it is better done seldom: by itself Go would do it each time that the heap has doubled,
	// with a heap of 10 MB many times a second.
	garbage = 32 << 20

	// lookAtHeap is how often the heap is looked at.
	lookAtHeap = time.Second
)

// relaxCollector has Go collect garbage when there is enough of it, until ctx ends. Whoever sets GOGC has
// decided otherwise.
func relaxCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(lookAtHeap)
	defer tick.Stop()
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := 0; ; {
		metrics.Read(alive)
		if next := collectAt(alive[0].Value.Uint64()); next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// collectAt is by how many percent of what is alive the heap may grow: in steps, since each change of it stops
// the program for a moment, and never less than what is Go's own choice.
func collectAt(alive uint64) int {
	const gos, most = 100, 1600
	percent := gos
	for percent < most && alive*uint64(2*percent)/100 <= garbage {
		percent *= 2
	}
	return percent
}
