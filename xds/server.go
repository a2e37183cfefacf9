package xds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// acknowledgeWithin is how long an Envoy may take to say that it took a step. One that is
	// slower is left to catch up: the protocol brings it everything, in order.
	acknowledgeWithin = 5 * time.Second

	// resolveWithin is how long a new cluster by DNS gets for its first resolution before routes
	// lead to it: Envoy does not say when it is done.
	resolveWithin = 500 * time.Millisecond

	// retireAfter is how long clusters stay that no route leads to any more: longer than a request
	// can be on its way from the route to the cluster (see gateTimeout).
	retireAfter = 30 * time.Second
)

// Server hands Envoys their configuration. Its methods may be called by many goroutines.
type Server struct {
	log   *zap.Logger
	shelf *shelf
	fleet *fleet

	publishing sync.Mutex // one change at a time

	mu       sync.Mutex
	current  Parts  // what Envoys should run; nil before the first Publish
	retiring Parts  // what only older routes use; nil where nothing is
	version  string // of current
	retire   *time.Timer
}

// NewServer returns a server without a configuration: Envoys that connect wait for the first
// Publish.
func NewServer(log *zap.Logger) *Server {
	shelf := newShelf()
	return &Server{log: log, shelf: shelf, fleet: newFleet(log, shelf.wanted)}
}

// Register adds the aggregated discovery service to a gRPC server. ctx ends its streams.
func (s *Server) Register(ctx context.Context, g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, serverv3.NewServer(ctx, s.shelf, s.fleet.callbacks()))
}

// Ready tells whether an Envoy runs the configuration that is in force, and which version that is.
func (s *Server) Ready() (version string, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, s.current != nil && s.fleet.anyRuns()
}

// Envoys is how many are connected.
func (s *Server) Envoys() int { return s.fleet.size() }

// Publish brings each group's resources to its connected Envoys and returns when they run them, or with a
// [Rejected] error when one does not take them and all went back to what was in force. See the
// package's documentation for the steps.
func (s *Server) Publish(ctx context.Context, next Parts) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.mu.Lock()
	previous, retiring := s.current, s.retiring
	s.mu.Unlock()

	if previous == nil {
		return s.enforce(ctx, next, nil)
	}
	leaving := previous.union(retiring).without(next)
	if err := s.push(ctx, previous.prepared(next.union(leaving)), next.beforeRoutes(), false); err != nil {
		s.rollBack(previous, retiring)
		return err
	}
	s.waitForDNS(ctx, previous.union(retiring), next)
	err := s.enforce(ctx, next, leaving)
	if err != nil {
		// Routes may have moved, and lead to what is new until they are back.
		s.rollBack(previous, previous.union(retiring).union(next).without(previous))
	}
	return err
}

// enforce makes next what is in force, beside what is leaving, and plans the leaving.
func (s *Server) enforce(ctx context.Context, next, leaving Parts) error {
	if err := s.push(ctx, next.union(leaving), next, true); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.version = next, next.Version()
	s.retireLater(leaving)
	return nil
}

// retireLater plans that what is leaving is taken away when no request uses it any more. The caller holds s.mu.
func (s *Server) retireLater(leaving Parts) {
	s.retiring = leaving
	if s.retire != nil {
		s.retire.Stop()
	}
	s.retire = time.AfterFunc(retireAfter, s.dropRetiring)
}

// dropRetiring takes away what no route has led to for retireAfter.
func (s *Server) dropRetiring() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retiring = nil
	s.shelf.set(s.current, false)
}

// rollBack gives the Envoys what was in force before, beside what is leaving.
func (s *Server) rollBack(previous, leaving Parts) {
	s.shelf.set(previous.union(leaving), false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retireLater(leaving)
}

// push sets the resources and waits until every connected Envoy has acknowledged those awaited, or
// one has rejected some. An Envoy that says nothing for acknowledgeWithin does not hold up the others. Anew asks those
// again that have rejected something before: not while that still stands beside what shall take its place.
func (s *Server) push(ctx context.Context, parts, awaited Parts, anew bool) error {
	reached := s.fleet.expect(s.shelf.versionsOf(awaited))
	defer s.fleet.expectNothing()
	s.shelf.set(parts, anew)
	ctx, cancel := context.WithTimeout(ctx, acknowledgeWithin)
	defer cancel()
	err := reached(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("some Envoys have not acknowledged their configuration yet; going on without them",
			zap.Strings("nodes", s.fleet.lagging()), zap.Duration("waited", acknowledgeWithin))
		return nil
	}
	return err
}

// waitForDNS lets Envoy resolve the names of clusters that are new.
func (s *Server) waitForDNS(ctx context.Context, before, next Parts) {
	if !next.resolvesMoreThan(before) || s.fleet.size() == 0 {
		return
	}
	timer := time.NewTimer(resolveWithin)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Rejected is the error of a configuration that an Envoy did not take.
type Rejected struct {
	Node string // the Envoy's node id
	Kind string // Listener, Cluster, ...
	Why  string // Envoy's own words
}

// Error says who rejected what, and why.
func (r *Rejected) Error() string {
	return fmt.Sprintf("Envoy %q rejects the %s: %s", r.Node, r.Kind, strings.TrimSpace(r.Why))
}
