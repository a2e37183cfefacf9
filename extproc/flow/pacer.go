package flow

import (
	"context"
	"time"

	"tollgate/config/rate"
)

const (
	// maxCatchUp is how late an event may be for the next ones to make up for it. What is later than
	// that was not held up by a timer: its upstream was slow, and no burst may follow.
	maxCatchUp = 10 * time.Millisecond

	// maxHurry is how much earlier than the interval an event may follow another to make up for lateness.
	maxHurry = 3 * time.Millisecond
)

// Pacer spreads the events of one answer evenly. Of a rate of N per W, with the interval I = W/N,
// and of several rates the slowest:
//
//   - Two events are never closer than I - 3 ms: 82 % of the interval at 60/second.
//   - n events in a row never take less than (n-1)·I - 10 ms: up to 100/second, no span of W ever has
//     more than N+1.
//   - An upstream that is faster gets the rate itself in the long run, as long as timers are late by
//     less than 3 ms on average.
//
// A nil Pacer never waits. A Pacer is for one goroutine.
type Pacer struct {
	interval time.Duration
	due      time.Time // when the next event should go, if it is not too late
	earliest time.Time // when it may go at the earliest
	timer    *time.Timer
}

// NewPacer returns a pacer that keeps all the rates; nil for none.
func NewPacer(rates []rate.Rate) *Pacer {
	var interval time.Duration
	for _, r := range rates {
		interval = max(interval, intervalOf(r))
	}
	if interval == 0 {
		return nil
	}
	return &Pacer{interval: interval}
}

// intervalOf rounds up: never faster than the rate.
func intervalOf(r rate.Rate) time.Duration {
	if r.Count == 0 || r.Window <= 0 {
		return 0
	}
	window := uint64(r.Window)
	return time.Duration((window-1)/r.Count + 1) //nolint:gosec // no more than the window
}

// Next asks whether the next event may go. 0 says that it may, and counts it as gone now; else ask again
// when that time is over.
func (p *Pacer) Next(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	if wait := max(p.due.Sub(now), p.earliest.Sub(now)); wait > 0 {
		return wait
	}
	if now.Sub(p.due) > maxCatchUp {
		p.due = now
	}
	p.due = p.due.Add(p.interval)
	p.earliest = now.Add(p.interval - maxHurry)
	return 0
}

// Wait returns when the next event may go, or with the context's error.
func (p *Pacer) Wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		wait := p.Next(time.Now())
		if wait == 0 {
			return nil
		}
		if p.timer == nil {
			p.timer = time.NewTimer(wait)
		} else {
			p.timer.Reset(wait)
		}
		select {
		case <-p.timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
