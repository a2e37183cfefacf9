package extproc

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/config"
	"tollgate/extproc/auth"
	"tollgate/extproc/exchange"
)

// Gate is the external processor. Its methods may be called by many goroutines.
type Gate struct {
	extprocv3.UnimplementedExternalProcessorServer

	log   *zap.Logger
	table atomic.Pointer[table]
}

// NewGate returns a gate without a configuration: it refuses every request until Configure.
func NewGate(log *zap.Logger) *Gate {
	g := &Gate{log: log}
	g.table.Store(&table{config: &config.Config{}})
	return g
}

// Configure makes a configuration the one in force, for the requests that begin from now on.
func (g *Gate) Configure(c *config.Config) {
	g.table.Store(g.table.Load().next(c))
}

// Process handles the stream of one request. It returns nil only after a verdict was sent.
func (g *Gate) Process(rpc extprocv3.ExternalProcessor_ProcessServer) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			g.log.Error("bug: the gate panicked; the request was refused",
				zap.Any("panic", reason), zap.ByteString("stack", debug.Stack()))
			err = status.Error(codes.Internal, "the gate failed")
		}
	}()
	s := &stream{rpc: rpc}
	var refusal *exchange.Refusal
	switch err := g.admit(s); {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return s.refuse(refusal)
	case s.clientLeft():
		return status.FromContextError(rpc.Context().Err()).Err()
	default:
		g.log.Error("the gate could not decide; the request was refused", zap.Error(err))
		return status.Error(codes.Internal, "the gate failed")
	}
}

// admit is the gate: one straight line from the request's headers to the verdict.
func (g *Gate) admit(s *stream) error {
	id, request, err := s.head()
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
		return fmt.Errorf("admitting: %w", err)
	}
	return s.pass(decision.Changes)
}
