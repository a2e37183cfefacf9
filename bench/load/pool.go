package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Request appends a whole HTTP/1.1 request to a buffer. Each has a number of its own. It is called by many
// goroutines.
type Request func(buffer []byte, number int64) []byte

// Result is what came of the requests.
type Result struct {
	Elapsed  time.Duration // from the first request to the last answer's end
	Requests int
	Events   int

	Latencies []time.Duration // from when a request was sent, or was due, to the end of its answer
	Firsts    []time.Duration // the same to a stream's first event
	Gaps      []time.Duration // between two events

	LeftOut int // requests whose latency is not among them
	dues    []time.Time
}

// sender is a connection.
type sender interface {
	send(request []byte, a *Answer) error
}

// Pool is a number of connections to one address. One load at a time.
type Pool struct {
	senders []sender
	close   []func() error
	numbers *atomic.Int64
	wait    func(time.Duration)
}

// Dial connects n times. Requests are numbered by numbers, which may be shared by many pools.
func Dial(ctx context.Context, address string, n int, numbers *atomic.Int64) (*Pool, error) {
	p := &Pool{numbers: numbers, wait: sleep}
	for range n {
		c, err := dial(ctx, address)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.senders, p.close = append(p.senders, c), append(p.close, c.Close)
	}
	return p, nil
}

// Close closes the connections; a load that runs fails.
func (p *Pool) Close() {
	for _, end := range p.close {
		_ = end()
	}
}

// Closed keeps all connections busy for a time: each sends its next request when it has its answer. Requests
// that were begun are ended, so Elapsed is longer than the time. The connections begin one after the other,
// spread over the stagger.
func (p *Pool) Closed(ctx context.Context, d, stagger time.Duration, request Request) (*Result, error) {
	begin := time.Now()
	return p.run(ctx, request, func(i int, each func(due time.Time) error) error {
		p.wait(stagger * time.Duration(i) / time.Duration(len(p.senders)))
		for time.Since(begin) < d && ctx.Err() == nil {
			if err := each(time.Time{}); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// Open sends rate requests a second for a time. A request for which no connection is free waits, and the wait
// is part of its latency.
func (p *Pool) Open(ctx context.Context, d time.Duration, rate float64, request Request) (*Result, error) {
	interval := time.Duration(float64(time.Second) / rate)
	due := make(chan time.Time, int(d/interval)+1)
	go schedule(time.Now(), interval, cap(due), p.wait, due)
	return p.run(ctx, request, func(_ int, each func(due time.Time) error) error {
		for at := range due {
			if ctx.Err() != nil {
				break
			}
			if err := each(at); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// schedule says n times that a request is due. due has room for all, so nothing holds it up.
func schedule(begin time.Time, interval time.Duration, n int, wait func(time.Duration), due chan<- time.Time) {
	defer close(due)
	for i := range n {
		at := begin.Add(time.Duration(i) * interval)
		wait(time.Until(at))
		due <- at
	}
}

// run has a goroutine for each connection, and puts together what they saw. loop calls each for every request;
// one that is due at no time counts from when it was sent.
func (p *Pool) run(ctx context.Context, request Request, loop func(i int, each func(due time.Time) error) error) (*Result, error) {
	begin := time.Now()
	parts := make([]Result, len(p.senders))
	group, _ := errgroup.WithContext(ctx)
	for i, sender := range p.senders {
		group.Go(func() error {
			var buffer []byte
			var a Answer
			return loop(i, func(due time.Time) error {
				buffer = request(buffer[:0], p.numbers.Add(1))
				if err := sender.send(buffer, &a); err != nil {
					return err
				}
				if due.IsZero() {
					due = a.Sent
				}
				parts[i].add(&a, due)
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("under load: %w", err)
	}
	whole := &Result{Elapsed: time.Since(begin)}
	for i := range parts {
		whole.Add(&parts[i])
	}
	return whole, nil
}

func (r *Result) add(a *Answer, due time.Time) {
	r.Requests++
	r.Events += a.Events
	r.Latencies, r.dues = append(r.Latencies, a.End.Sub(due)), append(r.dues, due)
	if a.Events > 0 {
		r.Firsts = append(r.Firsts, a.First.Sub(due))
	}
	r.Gaps = append(r.Gaps, a.Gaps...)
}

// Add adds what came of other requests.
func (r *Result) Add(part *Result) {
	r.Elapsed += part.Elapsed
	r.Requests += part.Requests
	r.Events += part.Events
	r.LeftOut += part.LeftOut
	r.Latencies, r.dues = append(r.Latencies, part.Latencies...), append(r.dues, part.dues...)
	r.Firsts = append(r.Firsts, part.Firsts...)
	r.Gaps = append(r.Gaps, part.Gaps...)
}

// reach is how long after it was due a request counts as under way. It is the same for all: if it were each one's own
// time, the slow would be left out rather than the others.
const reach = 5 * time.Millisecond

// LeaveOut leaves out the latencies of requests that were due when something else was at work.
func (r *Result) LeaveOut(during func(from, to time.Time) bool) {
	left := 0
	for i, due := range r.dues {
		if !during(due, due.Add(reach)) {
			r.Latencies[left], r.dues[left] = r.Latencies[i], due
			left++
		}
	}
	r.LeftOut += len(r.Latencies) - left
	r.Latencies, r.dues = r.Latencies[:left], r.dues[:left]
}
