package extproc

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
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
}

// Gate is the external processor, gate and tap. Its methods may be called by many goroutines.
type Gate struct {
	extprocv3.UnimplementedExternalProcessorServer

	options Options
	log     *zap.Logger
	table   atomic.Pointer[table]
	handoff *handoff
	budget  budget
}

// NewGate returns a gate without a configuration: it refuses every request until Configure.
func NewGate(options Options) *Gate {
	if options.Refused == nil {
		options.Refused = func(*config.Route, string) {}
	}
	if options.Limits == nil {
		options.Limits = limit.NewMemory(limit.MemoryOptions{})
	}
	if options.Skipped == nil {
		options.Skipped = func(string) {}
	}
	g := &Gate{options: options, log: options.Log, handoff: newHandoff()}
	g.table.Store(&table{config: &config.Config{}})
	return g
}

// Configure makes a configuration the one in force, for the requests that begin from now on.
func (g *Gate) Configure(c *config.Config) {
	g.table.Store(g.table.Load().next(c))
}

// Process handles the stream of one request, as gate or as tap: Envoy says which. As a gate it
// returns nil only after a verdict was sent.
func (g *Gate) Process(rpc extprocv3.ExternalProcessor_ProcessServer) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			g.log.Error("bug: a request's handler panicked",
				zap.Any("panic", reason), zap.ByteString("stack", debug.Stack()))
			err = status.Error(codes.Internal, "the handler failed")
		}
	}()
	s := &stream{rpc: rpc}
	first, err := rpc.Recv()
	if err != nil {
		return status.FromContextError(rpc.Context().Err()).Err()
	}
	if first.GetObservabilityMode() {
		return g.watch(s, first)
	}
	return g.judge(s, first)
}

// judge gives the verdict.
func (g *Gate) judge(s *stream, first *extprocv3.ProcessingRequest) error {
	var refusal *exchange.Refusal
	switch err := g.admit(s, first); {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return s.refuse(refusal)
	case s.clientLeft():
		return status.FromContextError(s.rpc.Context().Err()).Err()
	default:
		g.log.Error("the gate could not decide; the request was refused", zap.Error(err))
		return status.Error(codes.Internal, "the gate failed")
	}
}

// admit is the gate: one straight line from the request's headers to the verdict.
func (g *Gate) admit(s *stream, first *extprocv3.ProcessingRequest) error {
	id, request, err := s.head(first)
	if err != nil {
		return err
	}
	table := g.table.Load()
	route, ok := table.routes[id]
	if !ok {
		return fmt.Errorf("Envoy names a route that is not known here: %q", id)
	}
	decision, err := auth.Admit(table.config, route.Route, route.keys, request)
	if err != nil {
		g.refused(route, request, err)
		return fmt.Errorf("admitting: %w", err)
	}
	if err := g.charge(s, route.Route, decision.Client, request); err != nil {
		g.refused(route, request, err)
		return fmt.Errorf("charging limits: %w", err)
	}
	if !route.tapped {
		return s.pass(decision, "")
	}
	call := newCall(route.Route, request, decision)
	call.Parent = cmp.Or(s.traceParent(), call.Parent)
	g.handoff.put(&admission{call: call, listeners: g.observe(route.Route, call)})
	return s.pass(decision, call.ID)
}

// charge takes the request from all of its limits, or from none, and notes what is left for the
// answer's headers. Its error is an *exchange.Refusal.
func (g *Gate) charge(s *stream, route *config.Route, client *config.Client, request *exchange.Request) error {
	if len(route.Limits) == 0 {
		return nil
	}
	charges := limit.Charges(route, client, request)
	if len(charges) == 0 {
		return nil
	}
	out, err := g.options.Limits.Reserve(s.rpc.Context(), charges)
	if err != nil {
		g.log.Debug("limits cannot be counted", zap.Error(err)) // who watches the store says so once
		return limit.Unavailable()                              //nolint:wrapcheck // what the client reads
	}
	if left, ok := limit.HeadroomOf(out, charges); ok {
		s.say(config.LimitKey, strconv.FormatUint(left.Limit, 10))
		s.say(config.RemainingKey, strconv.FormatUint(left.Remaining, 10))
		s.say(config.ResetKey, left.Reset.String())
	}
	if !out.Allowed {
		return limit.Refusal(out, charges) //nolint:wrapcheck // what the client reads
	}
	return nil
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
func (g *Gate) refused(route *route, request *exchange.Request, err error) {
	var refusal *exchange.Refusal
	if !errors.As(err, &refusal) {
		return
	}
	g.options.Refused(route.Route, refusal.Code)
	if !route.tapped {
		return
	}
	call := newCall(route.Route, request, auth.Decision{})
	end := exchange.End{Cause: exchange.Refused, Status: refusal.Status, Code: refusal.Code, Last: time.Now()}
	for _, l := range g.observe(route.Route, call) {
		l.Done(nil, end)
	}
}

// newCall notes what is known of a request.
func newCall(route *config.Route, request *exchange.Request, decision auth.Decision) *exchange.Call {
	path, _, _ := strings.Cut(request.Path, "?")
	call := &exchange.Call{
		ID:          rand.Text()[:16],
		Began:       time.Now(),
		Route:       route.Prefix,
		Upstream:    route.Upstream.Name,
		Key:         decision.Key,
		Address:     request.Address,
		Method:      request.Method,
		Path:        "/" + strings.Trim(strings.TrimPrefix(path, route.Prefix), "/"),
		ContentType: request.Get("content-type"),
		Parent:      request.Get("traceparent"),
	}
	if decision.Client != nil {
		call.Client = decision.Client.Name
	}
	return call
}
