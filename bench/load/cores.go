package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	// look is how often the speed of a processor is looked at.
	look = time.Millisecond

	// slowdown is by how many times what is done takes longer on a processor that counts as slow. One that shares
	// its units with another, which is busy, is up to twice as slow.
	slowdown = 4

	// catchUp is how long after such a time what had to wait meanwhile is under way.
	catchUp = 5 * time.Millisecond
)

// Cores tells when the machine's processors were slow. Those of a virtual machine are, if its host gives them less
// time: for some tens of milliseconds all that runs takes ten times as long, and a p99 is of nothing else. Each
// millisecond a piece of work is done on each, and the CPU time that it takes counts: where it has to wait for other
// processes, it takes no more of that.
type Cores struct {
	mu   sync.Mutex
	slow []span
}

type span struct{ from, to time.Time }

// WatchCores watches all processors until ctx ends. An error is one of the system's: it has no way to do so. Each watcher
// waits in the kernel, and has one of Go's processors (GOMAXPROCS) until Go's monitor takes it away, which on an idle
// machine is after as long as 10 ms: there have to be some to spare.
func WatchCores(ctx context.Context) (*Cores, error) {
	c := &Cores{}
	cores, err := allowed()
	if err != nil {
		return nil, err
	}
	begun := make(chan error)
	for _, core := range cores {
		go func() {
			runtime.LockOSThread() // and not unlocked: the thread, which stays on this processor, ends with the goroutine
			err := stayOn(core)
			begun <- err
			if err == nil {
				c.watch(ctx)
			}
		}()
		if err := <-begun; err != nil {
			return nil, fmt.Errorf("watching processor %d: %w", core, err)
		}
	}
	return c, nil
}

// watch watches the processor that it runs on.
func (c *Cores) watch(ctx context.Context) {
	var s speed
	for ctx.Err() == nil {
		sleep(look)
		took, now := work(), time.Now()
		if s.slow(took) {
			c.note(now.Add(-took-look), now)
		}
	}
}

// speed is how long a piece of work usually takes on one processor: the median, which each piece moves by a little. (The
// least would not do: now and then a clock says that it took no time.)
type speed struct{ usual time.Duration }

// slow tells whether a piece took longer than other processes can account for.
func (s *speed) slow(took time.Duration) bool {
	step := max(1, s.usual/256)
	switch {
	case s.usual == 0:
		s.usual = took
	case took < s.usual:
		s.usual -= step
	default:
		s.usual += step
	}
	return took > slowdown*s.usual
}

// note notes that a processor was slow.
func (c *Cores) note(from, to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow = append(c.slow, span{from, to.Add(catchUp)})
}

// Slow tells whether a processor was slow between two times, or just before.
func (c *Cores) Slow(from, to time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.slow) - 1; i >= 0; i-- {
		if c.slow[i].to.Before(from.Add(-time.Second)) { // they were noted in about their order
			return false
		}
		if c.slow[i].from.Before(to) && from.Before(c.slow[i].to) {
			return true
		}
	}
	return false
}
