package extproc

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/config"
	"tollgate/extproc/auth"
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
	g := &Gate{options: options, log: options.Log, handoff: newHandoff(), ending: make(chan struct{})}
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
	case errors.As(err, &refusal):
		return s.refuse(refusal)
	case errors.Is(err, errBroken):
		return status.Error(codes.Unavailable, "the upstream broke the answer off")
	case s.gone(err):
		return status.Error(codes.Canceled, errGone.Error())
	default:
		g.log.Error("the gate could not decide; the request was refused", zap.Error(err))
		return status.Error(codes.Internal, "the gate failed")
	}
}

// visit is what the gate knows of one request. A request that is refused has what was known by then.
type visit struct {
	*stream

	began    time.Time
	route    *route
	request  *exchange.Request
	path     string // without the query
	decision auth.Decision
	asked    *openai.Request // nil: not read
	caching  *caching        // nil: no cache has to do with it
	hold     *hold           // nil: nothing was taken
	forced   bool            // the upstream is asked for usage that the client did not ask for

	upstream *config.Upstream // where it begins; nil: it is not chosen yet
	attempts bool             // what later attempts go with is asked

	admission *admission // nil: nobody listens, or not yet
}

// admit is the gate: from the request's headers to the verdict.
func (g *Gate) admit(s *stream, first *extprocv3.ProcessingRequest) error {
	id, request, err := s.head(first)
	if err != nil {
		return err
	}
	if id == "" {
		return errNowhere()
	}
	table := g.table.Load()
	route, ok := table.routes[id]
	if !ok {
		return fmt.Errorf("Envoy names a route that is not known here: %q", id)
	}
	v := &visit{stream: s, began: time.Now(), route: route, request: request}
	v.path = plainPath(request.Path)
	s.body = body{budget: &g.gates, most: maxAsked}
	defer s.body.free()
	if err := g.decide(table.config, v); err != nil {
		v.leave()
		g.refused(v, err)
		return err
	}
	defer v.leave()
	return g.serve(v)
}

// serve answers a request that may pass: from the cache, from a call that others ask for as well, or by
// letting it go on to the upstream.
func (g *Gate) serve(v *visit) error {
	if v.caching != nil && v.caching.hit != nil {
		return g.replay(v)
	}
	if v.caching != nil && v.caching.call != nil {
		if done, err := g.ride(v); done || err != nil {
			return err
		}
	}
	if v.caching != nil {
		g.options.Cached(v.route.Route, v.caching.result, Spared{})
	}
	v.choose()
	if err := v.pass(v.decision, g.follow(v)); err != nil {
		return err
	}
	v.body.free()
	return v.respond()
}

// decide asks the policies, one after the other: what costs least comes first, and what is taken from
// limits comes last, so that no refusal takes anything.
func (g *Gate) decide(c *config.Config, v *visit) (err error) {
	if v.decision, err = auth.Admit(c, v.route.Route, v.request); err != nil {
		return fmt.Errorf("admitting: %w", err)
	}
	if v.decision.Client != nil {
		v.say(config.ClientKey, v.decision.Client.Name)
	}
	v.body.who = v.sender()
	if err = v.read(); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if err = auth.AdmitModel(v.decision.Client, v.request, v.asked); err != nil {
		return fmt.Errorf("admitting the model: %w", err)
	}
	v.rewrite()
	if err = g.lookUp(v); err != nil {
		return fmt.Errorf("asking the cache: %w", err)
	}
	if err = g.take(v); err != nil {
		return fmt.Errorf("taking from limits: %w", err)
	}
	return nil
}

// sender is who has sent the request: a client by its name, others by their addresses.
func (v *visit) sender() string {
	if v.decision.Client != nil {
		return "client:" + v.decision.Client.Name
	}
	return "address:" + v.request.Address.String()
}

// follow leaves a request that passes for the tap, if one comes, and returns the call's id.
func (g *Gate) follow(v *visit) string {
	if !v.route.tapped {
		return ""
	}
	a := g.admitted(v)
	g.handoff.put(a)
	return a.call.ID
}

// admitted is the call of a request that may pass, and who listens to it.
func (g *Gate) admitted(v *visit) *admission {
	if v.admission != nil {
		return v.admission
	}
	call := newCall(v)
	call.Parent = cmp.Or(v.traceParent(), call.Parent)
	listeners := g.observe(v.route.Route, call)
	if v.hold.settles() {
		listeners = append(listeners, v.hold)
	}
	if v.hold.priced() {
		v.hold.call = call
	}
	v.admission = newAdmission(call, listeners, v.asked)
	if v.hold.priced() {
		v.admission.hold = v.hold
	}
	v.admission.keeping = g.keepingOf(v)
	return v.admission
}

// observe gathers who listens to a call.
func (g *Gate) observe(route *config.Route, call *exchange.Call) []Listener {
	var listeners []Listener
	for _, observe := range g.options.Observe {
		if l := observe(route, call); l != nil {
			listeners = append(listeners, l)
		}
	}
	return listeners
}

// refused tells whoever would have listened.
func (g *Gate) refused(v *visit, err error) {
	var refusal *exchange.Refusal
	if !errors.As(err, &refusal) {
		return
	}
	g.options.Refused(v.route.Route, refusal.Code)
	if !v.route.tapped {
		return
	}
	v.decision.Key = "" // none was used
	call := newCall(v)
	end := exchange.End{Cause: exchange.Refused, Status: refusal.Status, Code: refusal.Code, Last: time.Now()}
	newAdmission(call, g.observe(v.route.Route, call), v.asked).done(nil, end)
}

// newCall notes what is known of a request.
func newCall(v *visit) *exchange.Call {
	call := &exchange.Call{
		ID:          rand.Text()[:16],
		Began:       v.began,
		Route:       v.route.Prefix,
		Key:         v.decision.Key,
		Attempts:    v.attempts,
		Address:     v.request.Address,
		Method:      v.request.Method,
		Path:        trimmedPath(v.path, v.route.Prefix),
		ContentType: v.request.Get("content-type"),
		Parent:      v.request.Get("traceparent"),
		Shadowed:    v.hold != nil && v.hold.shadowed,
		Cache:       v.cacheResult(),
	}
	if v.upstream != nil {
		call.Upstream = v.upstream.Name
	}
	if v.decision.Client != nil {
		call.Client = v.decision.Client.Name
	}
	return call
}

// plainPath is a path as the upstream will see it: a final slash is no other path, and has no other limits.
func plainPath(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return "/" + strings.Trim(path, "/")
}

// trimmedPath is a path below a route's prefix.
func trimmedPath(path, prefix string) string {
	return "/" + strings.Trim(strings.TrimPrefix(path, prefix), "/")
}
