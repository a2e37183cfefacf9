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

	// most is by how many percent the heap may grow: of what is alive now, which can be much more in a moment.
	most = 400

	// lookAtHeap is how often the heap is looked at.
	lookAtHeap = time.Second

	// restsAfter is after how many looks that find nothing new the process rests. Little is nothing: less than a request.
	restsAfter, little = 3, 8 << 10

	// worthwhile is how many bytes are worth to be given back by a process that rests: of a large heap a sixteenth.
	worthwhile, sixteenth = 2 << 20, 16
)

// collect has Go collect garbage when there is enough of it, and gives it back to the system when the process rests,
// until ctx ends. Whoever sets GOGC has decided otherwise.
func collect(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(lookAtHeap)
	defer tick.Stop()
	look, rest, percent := newLook(), rest{}, 100
	for {
		h := look.heap()
		if next := h.percent(percent); next != percent {
			percent = next
			debug.SetGCPercent(percent)
		}
		if rest.over(h) {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// heap is what is known of the heap, in bytes.
type heap struct {
	live, stacks, globals uint64 // as the last collection found them
	used                  uint64 // by what is alive, and by what is not and was not collected yet
	free                  uint64 // what the system could have again
	allocated             uint64 // since the process began
}

// look looks at the heap.
type look []metrics.Sample

func newLook() look {
	return look{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"},
		{Name: "/gc/scan/globals:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
}

func (l look) heap() heap {
	metrics.Read(l)
	return heap{
		live: l[0].Value.Uint64(), stacks: l[1].Value.Uint64(), globals: l[2].Value.Uint64(),
		used: l[3].Value.Uint64(), free: l[4].Value.Uint64(), allocated: l[5].Value.Uint64(),
	}
}

// percent is what Go is told by how much the heap may grow: by 32 MB, and one above 64 MB by what is alive but for 32 MB.
// Go takes it of stacks and globals, too, which with thousands of streams that stand open are as much as the heap.
// Each change of it stops the program for a moment, so what is nearly right stays.
func (h heap) percent(now int) int {
	if h.live == 0 { // nothing was collected yet
		return now
	}
	grow := max(garbage, h.live-min(h.live, garbage))
	next := max(1, int(min(most, 100*grow/(h.live+h.stacks+h.globals))))
	if now*3/4 <= next && next <= now*4/3 {
		return now
	}
	return next
}

// rest notices when the process rests.
type rest struct {
	allocated uint64
	looks     int
}

// over tells whether there is something worth to be given back, once the process has rested for some looks. It costs a
// collection and pages that the system has to find again for the next requests, so it is not for a process at work.
func (r *rest) over(h heap) bool {
	rests := h.allocated-r.allocated <= little
	r.allocated = h.allocated
	if !rests {
		r.looks = 0
		return false
	}
	r.looks++
	if r.looks < restsAfter || h.used-min(h.used, h.live)+h.free < max(worthwhile, h.live/sixteenth) {
		return false
	}
	r.looks = 0
	return true
}
