package extproc

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/config"
	"tollgate/extproc/cache"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
	"tollgate/extproc/openai"
	"tollgate/extproc/share"
)

// Options is what a gate works with. All functions may be called by many goroutines, and must not block.
type Options struct {
	Log *zap.Logger

	// Limits counts requests. Nil: in memory.
	Limits limit.Store

	// Observe gives who listens to a call on a route that has a tap; nil where nobody does.
	Observe []func(*config.Route, *exchange.Call) Listener

	// Refused hears of each refusal, by its code. Nil: nobody does.
	Refused func(route *config.Route, code string)

	// Skipped hears of what a tap could not keep. Nil: nobody does.
	Skipped func(what string)

	// Headroom hears what a limited request leaves of its strictest limit of each quantity. Nil: nobody does.
	Headroom func(route *config.Route, client *config.Client, of config.Quantity, left limit.Headroom)

	// Settled hears what a call reserved of its limits of tokens and what it used, once that has taken
	// the place of the other. Nil: nobody does.
	Settled func(route *config.Route, reserved, used uint64)

	// KeyAnswered hears each answer, whether its request is tried again or not, by which an upstream turns
	// one of several keys down: 401, 403, 429. The key is named by its fingerprint. Nil: nobody does.
	KeyAnswered func(upstream *config.Upstream, key string, status int)

	// Shadowed hears of each request that a limit which is tried out would have refused. Nil: nobody does.
	Shadowed func(route *config.Route)

	// Cache is where answers are kept. Nil: nothing is kept, whatever a route says.
	Cache cache.Store

	// MaxEntry is the largest answer that is kept, in bytes.
	MaxEntry int

	// EnvoyHeap is the memory at which Envoy begins to defend itself, in bytes. 0: 2 GiB.
	EnvoyHeap uint64

	// Shared makes calls for several requests. Nil: each request has its own.
	Shared *share.Calls

	// Before handles what only the process knows whose place this one took. Nil: there was none.
	Before extprocv3.ExternalProcessorClient

	// Cached hears of each request that the cache had to do with, and what that spared. Nil: nobody does.
	Cached func(route *config.Route, result exchange.CacheResult, spared Spared)
}

// Spared is what an answer from the cache spared.
type Spared struct {
	Bytes int64
	Usage openai.Usage
	Took  time.Duration // of the upstream
}

// Gate is the external processor, gate and tap. Its methods may be called by many goroutines.
type Gate struct {
	extprocv3.UnimplementedExternalProcessorServer

	options Options
	log     *zap.Logger
	table   atomic.Pointer[table]
	handoff *handoff
	gates   budget // of the bodies that gates hold until their verdict
	taps    budget
	outflow *outflow

	inFlight limit.InFlight
	settling sync.WaitGroup // corrections of limits that are under way
	owing    atomic.Int64   // calls that have reserved tokens and are not settled
	ending   chan struct{}  // closed when the process is to end
}

// NewGate returns a gate without a configuration: it refuses every request until Configure.
func NewGate(options Options) *Gate {
	if options.Refused == nil {
		options.Refused = func(*config.Route, string) {}
	}
	if options.Headroom == nil {
		options.Headroom = func(*config.Route, *config.Client, config.Quantity, limit.Headroom) {}
	}
	if options.Shadowed == nil {
		options.Shadowed = func(*config.Route) {}
	}
	if options.KeyAnswered == nil {
		options.KeyAnswered = func(*config.Upstream, string, int) {}
	}
	if options.Settled == nil {
		options.Settled = func(*config.Route, uint64, uint64) {}
	}
	if options.Cached == nil {
		options.Cached = func(*config.Route, exchange.CacheResult, Spared) {}
	}
	if options.Limits == nil {
		options.Limits = limit.NewMemory(limit.MemoryOptions{})
	}
	if options.Skipped == nil {
		options.Skipped = func(string) {}
	}
	g := &Gate{options: options, log: options.Log, handoff: newHandoff(), outflow: newOutflow(cmp.Or(options.EnvoyHeap, plentyHeap)), ending: make(chan struct{})}
	g.table.Store(&table{config: &config.Config{}})
	return g
}

// Configure makes a configuration the one in force, for the requests that begin from now on.
func (g *Gate) Configure(c *config.Config) {
	g.table.Store(g.table.Load().next(c))
}

// Process handles the stream of one request, as gate, as tap, or for one attempt at an upstream: Envoy
// says which. As a gate it returns nil only after a verdict was sent.
func (g *Gate) Process(rpc extprocv3.ExternalProcessor_ProcessServer) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			g.log.Error("bug: a request's handler panicked",
				zap.Any("panic", reason), zap.ByteString("stack", debug.Stack()))
			err = status.Error(codes.Internal, "the handler failed")
		}
	}()
	s := &stream{rpc: rpc}
	first, err := s.recv()
	if err != nil {
		return g.conclude(s, fmt.Errorf("receiving the first message: %w", err))
	}
	if g.options.Before != nil && !g.knows(s, first) {
		return relay(g.options.Before, rpc, first)
	}
	attempt := s.initial(config.UpstreamHeader) != ""
	switch {
	case attempt && first.GetObservabilityMode():
		return g.learn(s, first)
	case first.GetObservabilityMode():
		return g.watch(s, first)
	case attempt:
		return g.conclude(s, g.prepare(s, first))
	}
	return g.conclude(s, g.admit(s, first))
}

// conclude turns what came of a request, or of an attempt, into how its stream ends: an error refuses it.
func (g *Gate) conclude(s *stream, err error) error {
	var refusal *exchange.Refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBroken): // a refusal would be in the middle of it
		return status.Error(codes.Unavailable, "the answer broke off")
	case errors.As(err, &refusal):
		return s.refuse(refusal)
	case s.gone(err):
		return status.Error(codes.Canceled, errGone.Error())
	default:
		g.log.Error("the gate could not decide; the request was refused", zap.Error(err))
		return status.Error(codes.Internal, "the gate failed")
	}
}
