package limit

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An admission is a charge that was let through.
type admission struct {
	at   int64
	cost uint64
}

// mostInWindow returns the most that was admitted in any window of the strategy.
func mostInWindow(strategy Strategy, window int64, log []admission) uint64 {
	var most, sum uint64
	var opened, last int64
	first := 0
	for i, a := range log {
		switch strategy {
		case MovingWindow:
			for ; log[first].at <= a.at-window; first++ {
				sum -= log[first].cost
			}
		case FixedWindow:
			if i == 0 || a.at >= opened+window {
				opened, sum = a.at, 0
			}
		case ElasticWindow:
			if i == 0 || a.at >= last+window {
				sum = 0
			}
		}
		last = a.at
		sum += a.cost
		most = max(most, sum)
	}
	return most
}

func TestNeverMoreThanCount(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range strategies() {
			for seed := range uint64(5) {
				random := rand.New(rand.NewPCG(seed, 2))
				charge := per(fmt.Sprint(strategy, seed), strategy, 20, time.Second, 0)
				var log []admission
				for range 600 {
					clock.Advance(time.Duration(random.ExpFloat64() * float64(30*time.Millisecond)))
					charge.Cost = 1 + random.Uint64N(3)
					if out := reserve(t, store, charge); out.Allowed {
						log = append(log, admission{out.At.UnixMicro(), charge.Cost})
					}
				}
				require.Greater(t, len(log), 40)
				most := mostInWindow(strategy, 1e6, log)
				require.LessOrEqual(t, most, uint64(20))
				require.GreaterOrEqual(t, most, uint64(18), "the limit must be reached")
			}
		}
	})
}

func TestWindowOpensAtTheFirstRequest(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		charge := per("k", FixedWindow, 2, time.Minute, 1)
		clock.Advance(59 * time.Second)
		require.Equal(t, time.Minute, reserve(t, store, charge).Decisions[0].Reset)
		clock.Advance(59 * time.Second)
		require.True(t, reserve(t, store, charge).Allowed)
		out := reserve(t, store, charge)
		require.False(t, out.Allowed)
		require.Equal(t, time.Second, out.Decisions[0].RetryAfter)
		clock.Advance(time.Second)
		require.True(t, reserve(t, store, charge).Allowed)
	})
}

func TestRefusedRequestsDoNotExtend(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range []Strategy{ElasticWindow, MovingWindow} {
			charge := per("k", strategy, 1, time.Minute, 1)
			require.True(t, reserve(t, store, charge).Allowed)
			for range 59 {
				clock.Advance(time.Second)
				require.False(t, reserve(t, store, charge).Allowed)
			}
			clock.Advance(time.Second)
			require.True(t, reserve(t, store, charge).Allowed)
		}
	})
}

func TestAllOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		wide, narrow := per("wide", MovingWindow, 10, time.Minute, 1), per("narrow", FixedWindow, 1, time.Minute, 1)
		require.True(t, reserve(t, store, wide, narrow).Allowed)
		out := reserve(t, store, wide, narrow)
		require.False(t, out.Allowed)
		require.True(t, out.Decisions[0].Allowed)
		require.False(t, out.Decisions[0].Charged)
		require.Equal(t, 1, out.Strictest)
		require.Equal(t, uint64(9), left(t, store, wide))
	})
}

func TestShadow(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		shadow, real := per("k", FixedWindow, 1, time.Minute, 1), per("k", FixedWindow, 2, time.Minute, 1)
		shadow.Shadow = true
		require.False(t, reserve(t, store, shadow, real).Decisions[0].Shadowed)
		out := reserve(t, store, shadow, real)
		require.True(t, out.Allowed)
		require.True(t, out.Decisions[0].Shadowed)
		require.Equal(t, 1, out.Strictest)
		require.False(t, reserve(t, store, shadow, real).Allowed)
		require.Equal(t, -1, reserve(t, store, shadow).Strictest)
	})
}

func TestOneCounterTwice(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		a, b, c := per("k", MovingWindow, 2, time.Minute, 1), per("x", MovingWindow, 9, time.Minute, 1), per("k", MovingWindow, 5, time.Minute, 1)
		require.True(t, reserve(t, store, a, b, c).Allowed)
		require.True(t, reserve(t, store, a, b, c).Allowed)
		out := reserve(t, store, a, b, c)
		require.False(t, out.Allowed)
		require.Equal(t, []bool{false, true, false}, []bool{out.Decisions[0].Allowed, out.Decisions[1].Allowed, out.Decisions[2].Allowed})
	})
}

func TestCountersSurviveANewCount(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		for _, strategy := range strategies() {
			require.True(t, reserve(t, store, per("k", strategy, 10, time.Minute, 5)).Allowed)
			require.False(t, reserve(t, store, per("k", strategy, 5, time.Minute, 1)).Allowed)
			require.True(t, reserve(t, store, per("k", strategy, 20, time.Minute, 15)).Allowed)
		}
	})
}

func TestDebt(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range strategies() {
			charge := per("k", strategy, 100, time.Minute, 60)
			out := reserve(t, store, charge)
			settle(t, store, out, charge, 250)
			charge.Cost = 0
			refused := reserve(t, store, charge)
			require.False(t, refused.Allowed)
			require.Zero(t, refused.Decisions[0].Remaining)
			clock.Advance(refused.Decisions[0].RetryAfter)
			require.True(t, reserve(t, store, charge).Allowed)
		}
	})
}

func TestLateSettlementMakesNoRoom(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range strategies() {
			charge := per("k", strategy, 10, time.Minute, 10)
			early := reserve(t, store, charge)
			clock.Advance(time.Minute)
			require.True(t, reserve(t, store, charge).Allowed)
			settle(t, store, early, charge, 0)
			require.Zero(t, left(t, store, charge))
		}
	})
}

func TestTimeStandsStillRatherThanRunBackwards(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range strategies() {
			charge := per("k", strategy, 2, time.Minute, 1)
			reserve(t, store, charge)
			clock.Advance(-time.Hour)
			require.True(t, reserve(t, store, charge).Allowed)
			out := reserve(t, store, charge)
			require.False(t, out.Allowed)
			require.Equal(t, time.Minute, out.Decisions[0].RetryAfter)
			clock.Advance(2 * time.Hour)
		}
	})
}

func TestWrongCharges(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, _ *fakeClock) {
		for _, c := range []Charge{
			per("k", "leaky-bucket", 1, time.Minute, 1),
			per("k", FixedWindow, 1, 0, 1),
			per("k", FixedWindow, 1, MaxWindow+1, 1),
			per("k", FixedWindow, MaxCount+1, time.Minute, 1),
		} {
			_, err := store.Reserve(t.Context(), []Charge{c})
			require.ErrorContains(t, err, "limit k: ")
			require.NotErrorIs(t, err, ErrUnavailable)
			require.Error(t, store.Settle(t.Context(), []Adjustment{{Charge: c}}))
		}
		out := reserve(t, store)
		require.True(t, out.Allowed)
		require.Equal(t, Never, reserve(t, store, per("k", FixedWindow, 5, time.Minute, 6)).Decisions[0].RetryAfter)
		require.Equal(t, Never, reserve(t, store, per("k", MovingWindow, 5, time.Minute, 1<<63)).Decisions[0].RetryAfter)
	})
}

// With more admissions in a window than there are entries, a charge may count for longer, up to a part.
func TestMergedEntriesAreConservative(t *testing.T) {
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		const count, steps = 5000, 14000
		random := rand.New(rand.NewPCG(3, 3))
		charge := per("k", MovingWindow, count, time.Minute, 1)
		longest := int64(time.Minute/time.Microsecond) + width(6e7)
		var log []admission
		first, refused := 0, 0
		for range steps {
			clock.Advance(time.Duration(random.IntN(20)) * time.Millisecond)
			out := reserve(t, store, charge)
			now := out.At.UnixMicro()
			for first < len(log) && log[first].at <= now-longest {
				first++
			}
			if out.Allowed {
				log = append(log, admission{now, 1})
				continue
			}
			refused++
			require.GreaterOrEqual(t, len(log)-first, count, "refused although a charge counts for %d at most", longest)
		}
		require.LessOrEqual(t, mostInWindow(MovingWindow, 6e7, log), uint64(count))
		require.Positive(t, refused)
		requireBounded(t, store, charge)
	})
}

func requireBounded(t *testing.T, store Store, charge Charge) {
	t.Helper()
	id := identOf(&charge)
	switch s := store.(type) {
	case *Memory:
		n := 0
		for i := range s.shards {
			if c := s.shards[i].index[id]; c != nil {
				n = len(c.log)
				require.LessOrEqual(t, cap(c.log), 3*mostKept)
			}
		}
		require.Positive(t, n)
		require.LessOrEqual(t, n, mostKept)
	case *Redis:
		n, err := s.client.ZCard(t.Context(), s.key(&id)).Result()
		require.NoError(t, err)
		require.LessOrEqual(t, n, int64(mostKept+1))
	}
}
