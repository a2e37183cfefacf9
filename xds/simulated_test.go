package xds_test

import (
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"

	"tollgate/xds"
)

// serveXDS runs the xDS server on a Unix socket, and gives the address.
func serveXDS(tb testing.TB, control *xds.Server) (address string) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "tgxds")
	if err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "xds.sock")
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := grpc.NewServer()
	control.Register(ctx, server)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() {
		cancel()
		server.Stop()
		_ = os.RemoveAll(dir)
	})
	return "unix://" + socket
}

// simulated is an Envoy as the xDS server sees it: it asks for everything, and acknowledges what it gets.
type simulated struct {
	node     *corev3.Node
	stream   discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	received *atomic.Int64 // bytes on the wire

	mu      sync.Mutex
	has     map[string]map[string]string // versions by type and name
	refuses string                       // the type that it rejects
	refused int                          // how often it has
}

// simulate connects an Envoy of a group, which lives until the test ends or leave is called. Has is what it
// knows from a life before.
func simulate(tb testing.TB, address, node, group string, s *simulated) (leave func()) {
	tb.Helper()
	if s.received == nil {
		s.received = new(atomic.Int64)
	}
	s.node = &corev3.Node{Id: node, Cluster: group}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(wire{s.received}))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	known := s.has
	s.has = map[string]map[string]string{}
	for _, typeURL := range []string{resource.ClusterType, resource.ListenerType} {
		s.has[typeURL] = known[typeURL]
		s.send(&discoveryv3.DeltaDiscoveryRequest{Node: s.node, TypeUrl: typeURL, InitialResourceVersions: known[typeURL]})
	}
	for typeURL, names := range map[string][]string{
		resource.RouteType:    {xds.RouteName},
		resource.EndpointType: slices.Collect(maps.Keys(known[resource.EndpointType])),
	} {
		s.has[typeURL] = known[typeURL]
		if len(names) > 0 {
			s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: known[typeURL]})
		}
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := s.live(); ctx.Err() == nil {
			tb.Errorf("the stream of %s ends: %v", node, err)
		}
	})
	leave = func() {
		cancel()
		ended.Wait()
		_ = connection.Close()
	}
	tb.Cleanup(leave)
	return leave
}

// live takes what comes until the stream ends, and says why it did.
func (s *simulated) live() error {
	for {
		response, err := s.stream.Recv()
		if err != nil {
			return err
		}
		answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()}
		if !s.take(response) {
			answer.ErrorDetail = &status.Status{Message: "it is not to my taste"}
		}
		s.send(answer)
	}
}

// refuse has it reject a type from now on.
func (s *simulated) refuse(typeURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = typeURL
}

func (s *simulated) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// drop has it forget what it has of a type.
func (s *simulated) drop(typeURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.has[typeURL])
}

// take tells whether it takes what came.
func (s *simulated) take(response *discoveryv3.DeltaDiscoveryResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if response.GetTypeUrl() == s.refuses && len(response.GetResources()) > 0 {
		s.refused++
		return false
	}
	has := s.has[response.GetTypeUrl()]
	if has == nil {
		has = map[string]string{}
		s.has[response.GetTypeUrl()] = has
	}
	for _, r := range response.GetResources() {
		has[r.GetName()] = r.GetVersion()
	}
	for _, name := range response.GetRemovedResources() {
		delete(has, name)
	}
	if response.GetTypeUrl() == resource.ClusterType {
		s.follow(response)
	}
	return true
}

// follow asks for the endpoints of new clusters.
func (s *simulated) follow(response *discoveryv3.DeltaDiscoveryResponse) {
	request := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResourceNamesUnsubscribe: response.GetRemovedResources()}
	for _, r := range response.GetResources() {
		cluster := &clusterv3.Cluster{}
		if r.GetResource().UnmarshalTo(cluster) == nil && cluster.GetType() == clusterv3.Cluster_EDS {
			request.ResourceNamesSubscribe = append(request.ResourceNamesSubscribe, r.GetName())
		}
	}
	if len(request.GetResourceNamesSubscribe())+len(request.GetResourceNamesUnsubscribe()) > 0 {
		s.send(request)
	}
}

func (s *simulated) send(request *discoveryv3.DeltaDiscoveryRequest) { _ = s.stream.Send(request) }

// names are those of the resources of a type that it has.
func (s *simulated) names(typeURL string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.has[typeURL] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wire counts bytes.
type wire struct{ received *atomic.Int64 }

func (wire) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (wire) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (wire) HandleConn(context.Context, stats.ConnStats)                       {}
func (w wire) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		w.received.Add(int64(in.WireLength))
	}
}

// newControl is an xDS server that says nothing.
func newControl(tb testing.TB) (*xds.Server, string) {
	tb.Helper()
	control := xds.NewServer(zap.NewNop())
	return control, serveXDS(tb, control)
}
