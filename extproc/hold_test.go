package extproc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/config/rate"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
)

// A forgetfulStore is away for some settlements.
type forgetfulStore struct {
	limit.Store
	away int
}

func (s *forgetfulStore) Settle(ctx context.Context, adjustments []limit.Adjustment) error {
	if s.away > 0 {
		s.away--
		return fmt.Errorf("%w: it is asleep", limit.ErrUnavailable)
	}
	return s.Store.Settle(ctx, adjustments)
}

// holdOf reserves tokens of two limits: 100 of the smaller, and 1000 of the larger.
func holdOf(t *testing.T, g *Gate) *hold {
	t.Helper()
	charge := func(count uint64) limit.Charge {
		return limit.Charge{Key: "k", Rate: rate.Rate{Count: count, Window: time.Duration(count) * time.Minute}, Strategy: limit.MovingWindow, Cost: count, Of: config.OfTokens}
	}
	h := &hold{gate: g, route: &config.Route{}, charges: []limit.Charge{charge(100), charge(1000)}}
	var err error
	h.outcome, err = g.options.Limits.Reserve(t.Context(), h.charges)
	require.NoError(t, err)
	require.True(t, h.outcome.Allowed)
	g.owing.Add(1)
	return h
}

// after says when there is room again for what was reserved of each limit.
func after(t *testing.T, h *hold) []time.Duration {
	t.Helper()
	out, err := h.gate.options.Limits.Check(t.Context(), h.charges)
	require.NoError(t, err)
	return []time.Duration{out.Decisions[0].RetryAfter, out.Decisions[1].RetryAfter}
}

// What is not known to be used counts as it was reserved, of each limit what was reserved of it.
func TestUnknownUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Options{Log: zap.NewNop(), Limits: limit.NewMemory(limit.MemoryOptions{Clock: time.Now})})
		h := holdOf(t, g)
		<-time.After(10 * time.Minute)
		h.Done(nil, exchange.End{Cause: exchange.Unseen})
		g.settling.Wait()
		require.Equal(t, []time.Duration{90 * time.Minute, 990 * time.Minute}, after(t, h))
		require.Zero(t, g.owing.Load())
	})
}

// A store that is away for a moment hears of the use when it is back; one that stays away is given up.
func TestSettlementIsTriedAgain(t *testing.T) {
	t.Parallel()
	for away, settled := range map[int]bool{0: true, 5: true, 1000: false} {
		synctest.Test(t, func(t *testing.T) {
			store := &forgetfulStore{limit.NewMemory(limit.MemoryOptions{Clock: time.Now}), away}
			told := 0
			g := NewGate(Options{Log: zap.NewNop(), Limits: store, Settled: func(*config.Route, uint64, uint64) { told++ }})
			h := holdOf(t, g)
			began := time.Now()
			h.Done(nil, exchange.End{Cause: exchange.Whole, Status: 500})
			g.settling.Wait()
			require.LessOrEqual(t, time.Since(began), settleWithin)
			require.Equal(t, settled, told == 1)
			require.Equal(t, settled, after(t, h)[0] == 0)
			require.Zero(t, g.owing.Load())
		})
	}
}

// A process that ends does not wait for a store that is away.
func TestSettlementEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Options{Log: zap.NewNop(), Limits: &forgetfulStore{limit.NewMemory(limit.MemoryOptions{Clock: time.Now}), 1000}})
		h := holdOf(t, g)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		h.Done(nil, exchange.End{Cause: exchange.Whole, Status: 500})
		cancel()
		g.Run(ctx)
		require.Less(t, time.Since(began), settleAgain)
	})
}
