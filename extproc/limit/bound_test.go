package limit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// call is a call that was let through, and what it turned out to use.
type call struct {
	at, ended      int64 // ended is 0 while it is under way
	reserved, used uint64
	adjustment     Adjustment
}

func (c *call) excess() uint64 { return max(c.used, c.reserved) - c.reserved }

// TestBoundOfDebt: whatever calls use beyond what they reserved, of those that were admitted in any span of
// the window no more is used than the limit, and the excess of those that were under way when the last of
// them was admitted. Where no call uses more than it reserved, that is the limit itself.
func TestBoundOfDebt(t *testing.T) {
	const most, window = 1000, time.Second
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for _, strategy := range []Strategy{MovingWindow, FixedWindow} {
			for seed := range uint64(20) {
				span := window
				if strategy == FixedWindow {
					span = time.Hour // so that all is in one window
				}
				random := rand.New(rand.NewPCG(seed, 3))
				honest := seed%2 == 0 // no call uses more than it reserved
				calls := schedule(t, store, clock, random, per(fmt.Sprint("bound", strategy, seed), strategy, most, span, 0), honest)
				require.Greater(t, len(calls), 2)
				for last := range calls {
					used, beyond := spent(calls, last, span)
					require.LessOrEqual(t, used, most+beyond, "%s, seed %d, up to call %d", strategy, seed, last)
					if honest {
						require.Zero(t, beyond)
					}
				}
			}
		}
	})
}

// schedule lets calls begin and end at random.
func schedule(t *testing.T, store Store, clock *fakeClock, random *rand.Rand, charge Charge, honest bool) []*call {
	t.Helper()
	var calls []*call
	for range 400 {
		clock.Advance(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
		if open := underWay(calls); len(open) > 0 && random.IntN(2) == 0 {
			c := open[random.IntN(len(open))]
			c.ended = clock.Now().UnixMicro()
			require.NoError(t, store.Settle(context.Background(), []Adjustment{c.adjustment}))
			continue
		}
		charge.Cost = 1 + random.Uint64N(200)
		out := reserve(t, store, charge)
		if !out.Allowed {
			continue
		}
		used := random.Uint64N(charge.Cost + 1)
		if !honest && random.IntN(3) == 0 {
			used = charge.Cost + random.Uint64N(500)
		}
		adjustment, taken := out.Adjust(0, charge, used)
		require.True(t, taken)
		calls = append(calls, &call{at: clock.Now().UnixMicro(), reserved: charge.Cost, used: used, adjustment: adjustment})
	}
	return calls
}

func underWay(calls []*call) []*call {
	var open []*call
	for _, c := range calls {
		if c.ended == 0 {
			open = append(open, c)
		}
	}
	return open
}

// spent is what the calls use in the end that were admitted in the span up to the last one, and what of it
// those under way at that time use beyond their reservations.
func spent(calls []*call, last int, span time.Duration) (used, beyond uint64) {
	now := calls[last].at
	for _, c := range calls[:last+1] {
		if c.at <= now-span.Microseconds() {
			continue
		}
		used += c.used
		if c.ended == 0 || c.ended > now {
			beyond += c.excess()
		}
	}
	return used, beyond
}
