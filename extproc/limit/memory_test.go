package limit

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryForgetsWhoCameOnce(t *testing.T) {
	clock := newClock()
	m := NewMemory(MemoryOptions{Clock: clock.Now})
	for i := range 100_000 {
		if i%1000 == 0 {
			clock.Advance(time.Second)
		}
		reserve(t, m, per(fmt.Sprint("client ", i), strategies()[i%3], 10, 10*time.Second, 1))
		if i%1000 == 999 {
			require.Less(t, m.Len(), 2*10_000)
		}
	}
	require.Less(t, m.Len(), 2*10_000, "10 seconds' clients and some that were not yet found to be over")
	require.Zero(t, m.Evicted())
	clock.Advance(10 * time.Second)
	m.Sweep()
	require.Zero(t, m.Len())
}

// Who comes once takes no memory for longer than a minute after its window, even if nobody else comes.
func TestMemoryRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{Clock: time.Now})
		go m.Run(t.Context())
		for i := range 1000 {
			reserve(t, m, per(strconv.Itoa(i), strategies()[i%3], 10, time.Hour, 1))
		}
		time.Sleep(time.Hour - time.Second) //nolint:forbidigo // of the bubble, it takes no time
		require.Equal(t, 1000, m.Len())
		time.Sleep(time.Minute + time.Second) //nolint:forbidigo // as above
		synctest.Wait()
		require.Zero(t, m.Len())
	})
}

func TestMemoryKeepsOpenWindows(t *testing.T) {
	clock := newClock()
	m := NewMemory(MemoryOptions{Clock: clock.Now, MaxKeys: shards})
	for i := range 1000 { // all over when the next comes
		reserve(t, m, per(strconv.Itoa(i), MovingWindow, 10, time.Second, 1))
		clock.Advance(time.Second)
	}
	require.Zero(t, m.Evicted())
	require.LessOrEqual(t, m.Len(), shards)
}

func TestMemorySaysWhatItForgets(t *testing.T) {
	clock := newClock()
	m := NewMemory(MemoryOptions{Clock: clock.Now, MaxKeys: 2 * shards})
	for i := range 1000 {
		reserve(t, m, per(strconv.Itoa(i), FixedWindow, 10, time.Minute, 1))
		clock.Advance(time.Millisecond)
	}
	require.Equal(t, 1000, m.Len()+int(m.Evicted()))
	require.LessOrEqual(t, m.Len(), 2*shards)
	require.Equal(t, uint64(9), left(t, m, per("999", FixedWindow, 10, time.Minute, 0)), "the oldest go first")
}

// A counter that is used all the time moves back in the queue, and stays.
func TestMemoryKeepsWhoComesAgain(t *testing.T) {
	clock := newClock()
	m := NewMemory(MemoryOptions{Clock: clock.Now})
	charge := per("busy", ElasticWindow, 1000, time.Minute, 1)
	for i := range 500 {
		require.True(t, reserve(t, m, charge).Allowed)
		reserve(t, m, per(strconv.Itoa(i), FixedWindow, 1, time.Second, 1))
		clock.Advance(59 * time.Second)
		m.Sweep()
	}
	require.Equal(t, uint64(500), left(t, m, charge))
	require.LessOrEqual(t, m.Len(), 1)
}

func TestMemoryConcurrently(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	for _, strategy := range strategies() {
		log := hammer(t, []Store{m}, strategy, 300*time.Millisecond)
		require.LessOrEqual(t, mostInWindow(strategy, hammerWindow.Microseconds(), log), uint64(hammerCount))
		require.GreaterOrEqual(t, len(log), 2*hammerCount)
	}
}

const (
	hammerCount  = 40
	hammerWindow = 100 * time.Millisecond
)

// hammer reserves from many goroutines, in two counters whose order differs, and returns what was admitted.
func hammer(t *testing.T, stores []Store, strategy Strategy, long time.Duration) []admission {
	t.Helper()
	var mu sync.Mutex
	var log []admission
	var wg sync.WaitGroup
	end := time.Now().Add(long)
	for i := range 4 * len(stores) {
		wg.Go(func() {
			charges := []Charge{per("hammered", strategy, hammerCount, hammerWindow, 1), per("other", strategy, 1e9, time.Hour, 1)}
			if i%2 == 1 {
				slices.Reverse(charges)
			}
			for time.Now().Before(end) {
				out, err := stores[i%len(stores)].Reserve(t.Context(), charges)
				if err != nil {
					t.Error(err)
					return
				}
				if out.Allowed {
					mu.Lock()
					log = append(log, admission{out.At.UnixMicro(), 1})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(log, func(a, b admission) int { return int(a.at - b.at) })
	return log
}
