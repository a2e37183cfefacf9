// Package share makes one call of an upstream for all requests that ask the same while it is under way.
//
// No client owns the call: whoever leaves, it goes on while somebody follows it. It reaches the upstream
// through a listener of Envoy's on a Unix socket, so that all that Envoy does for an upstream (its TLS,
// its proxy, retries, balance) holds for these calls, too.
package share

import (
	"context"
	"sync"
)

// Calls are those that are under way. Safe for use by many goroutines.
type Calls struct {
	lines   lines
	mu      sync.Mutex
	calls   map[string]*Call
	held    int64 // bytes of all answers
	pieces  pieces
	workers workers
}

// New returns calls that reach upstreams by a Unix socket.
func New(socket string) *Calls {
	return &Calls{
		lines:   lines{socket: socket},
		calls:   map[string]*Call{},
		workers: workers{next: make(chan func()), over: make(chan struct{})},
	}
}

// pieces are what answers are read into.
type pieces struct{ pool sync.Pool }

func (p *pieces) get() *[pieceSize]byte {
	if piece, ok := p.pool.Get().(*[pieceSize]byte); ok {
		return piece
	}
	return new([pieceSize]byte)
}

func (p *pieces) put(piece *[pieceSize]byte) { p.pool.Put(piece) }

// Join returns the call with a key, and whether the one who joins leads it: the leader must call Start
// or Fail. Everyone who joins must Leave.
func (c *Calls) Join(key string) (call *Call, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call, ok := c.calls[key]; ok {
		call.followers++
		return call, false
	}
	ctx, cancel := context.WithCancel(context.Background())
	call = &Call{
		calls: c, key: key, followers: 1, ctx: ctx, cancel: cancel,
		changed: make(chan struct{}), over: make(chan struct{}),
	}
	c.calls[key] = call
	return call, true
}

// InFlight is how many calls are under way.
func (c *Calls) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

// Close ends idle connections. No call may be started any more.
func (c *Calls) Close() {
	c.lines.close()
	close(c.workers.over)
}
