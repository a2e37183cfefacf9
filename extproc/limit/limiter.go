package limit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tollgate/config"
)

// Never is the RetryAfter of a charge that costs more than its rate's count: it cannot fit at any time.
const Never time.Duration = math.MaxInt64

// ErrUnavailable is the error of a store that cannot be reached. Nothing is known of the charges then:
// the store may have taken them before the connection broke.
var ErrUnavailable = errors.New("the limits' store cannot be reached")

// Charge is what one request wants to take from one counter.
type Charge struct {
	Key      string // who, where and what: "client/route/tokens". It is shown to operators: no secrets
	Rate     Rate
	Strategy Strategy
	Cost     uint64          // 0 asks whether the counter is not in debt, and takes nothing
	Of       config.Quantity // for who reads the outcome: what it counts; empty: requests
	Shadow   bool            // never refuses
}

// Decision is what a counter says of a charge.
type Decision struct {
	Allowed    bool          // it fits; always true of a shadow charge
	Charged    bool          // it was taken
	Shadowed   bool          // a shadow charge that would have been refused
	Remaining  uint64        // what is left, after the charge if it was taken
	Reset      time.Duration // until all of it is there again
	RetryAfter time.Duration // until the charge fits, if nobody else comes; 0: it does now. See Never
}

// Receipt says which store took a request's charges, and when.
type Receipt struct {
	At     time.Time // by the store's own clock
	Local  bool      // taken by the local store of a Fallback
	Shared bool      // other processes take from the same counters
}

// Outcome is the answer for all charges of a request.
type Outcome struct {
	Receipt
	Allowed   bool       // the request passes
	Decisions []Decision // of the charges, in their order
	Strictest int        // which one a client should be told of; -1 where no charge is enforced
}

// Adjustment says what was used of a charge that was taken.
type Adjustment struct {
	Receipt
	Charge Charge // as it was reserved
	Used   uint64
}

// Adjust returns the adjustment of charge i, or false where it was not taken: there is nothing to settle.
func (o Outcome) Adjust(i int, charge Charge, used uint64) (Adjustment, bool) {
	return Adjustment{Receipt: o.Receipt, Charge: charge, Used: used}, o.Decisions[i].Charged
}

// difference returns what is to be taken, or given back.
func (a *Adjustment) difference() (more, less uint64) {
	if a.Used > a.Charge.Cost {
		return min(a.Used, MaxCount) - min(a.Charge.Cost, MaxCount), 0
	}
	return 0, a.Charge.Cost - a.Used
}

// Store holds counters. Its methods can be called from many goroutines.
type Store interface {
	// Reserve takes all charges, or none.
	Reserve(ctx context.Context, charges []Charge) (Outcome, error)
	// Settle replaces reserved costs by what was used, and may go into debt. Once a charge: a
	// second settlement is a second correction.
	Settle(ctx context.Context, adjustments []Adjustment) error
	// Check says what Reserve would, and takes nothing.
	Check(ctx context.Context, charges []Charge) (Outcome, error)
}

// verify returns an error for a charge that no counter can judge.
func verify(c *Charge) error {
	switch {
	case c.Rate.Count > MaxCount:
		return fmt.Errorf("limit %s: count %d is more than %d", c.Key, c.Rate.Count, uint64(MaxCount))
	case c.Rate.Window < time.Microsecond || c.Rate.Window > MaxWindow:
		return fmt.Errorf("limit %s: a window of %v is not between a microsecond and 10 years", c.Key, c.Rate.Window)
	case !c.Strategy.valid():
		return fmt.Errorf("limit %s: %w", c.Key, unknownStrategy(string(c.Strategy)))
	}
	return nil
}

// stricter reports whether a client should hear of a rather than of b.
func stricter(a, b Decision) bool {
	if a.Allowed != b.Allowed {
		return !a.Allowed
	}
	if !a.Allowed {
		return a.RetryAfter > b.RetryAfter
	}
	return a.Remaining < b.Remaining
}

// conclude makes the outcome of the readings of a request's slots.
func conclude(charges []Charge, p plan, now int64, taken bool) Outcome {
	out := Outcome{
		Receipt:   Receipt{At: time.UnixMicro(now)},
		Allowed:   p.passes(),
		Decisions: make([]Decision, len(charges)),
		Strictest: -1,
	}
	for i := range charges {
		s := &p.slots[p.slotOf(i)]
		d := s.decide(now, taken && out.Allowed)
		out.Decisions[i] = d
		if !s.shadow && (out.Strictest < 0 || stricter(d, out.Decisions[out.Strictest])) {
			out.Strictest = i
		}
	}
	return out
}
