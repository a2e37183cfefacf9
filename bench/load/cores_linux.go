package load

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// allowed is which processors this program may run on.
func allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("asking which processors there are to run on: %w", err)
	}
	var cores []int
	for core := 0; len(cores) < set.Count(); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// stayOn has the calling thread run on one processor.
func stayOn(core int) error {
	var one unix.CPUSet
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("staying on it: %w", err)
	}
	return nil
}

// work does the same each time, and returns the CPU time that it took: some microseconds.
func work() time.Duration {
	before := threadTime()
	state := uint32(1)
	for range 4000 {
		state = state*1664525 + 1013904223 // each waits for the one before
	}
	worked.Store(state)
	return threadTime() - before
}

var worked atomic.Uint32 // so that the work is done

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	return time.Duration(now.Nano())
}
