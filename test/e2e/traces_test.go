package e2e

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// collector is an OpenTelemetry collector that keeps what it gets.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans map[string]*tracev1.Span // by id
	from  map[string]string        // by id: the service
}

// newCollector listens for OTLP by gRPC, and gives its URL.
func newCollector(t *testing.T) (url string, c *collector) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &collector{spans: map[string]*tracev1.Span{}, from: map[string]string{}}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return "http://" + listener.Addr().String(), c
}

// Export takes spans.
func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		service := ""
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = attribute.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := hex.EncodeToString(span.GetSpanId())
				c.spans[id], c.from[id] = span, service
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// ancestors names the services on the way from a service's span of a trace up to its root, and the
// id that the last span names as its parent.
func (c *collector) ancestors(service, trace string) (services []string, root string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, span := range c.spans {
		if c.from[id] != service || hex.EncodeToString(span.GetTraceId()) != trace {
			continue
		}
		for span != nil {
			services = append(services, c.from[id])
			root = hex.EncodeToString(span.GetParentSpanId())
			id = root
			span = c.spans[id]
		}
		return services, root
	}
	return nil, ""
}

// TestTraces: one span a chat, which descends from Envoy's span, and that from the client's. No key
// and no prompt is in any.
func TestTraces(t *testing.T) {
	t.Parallel()
	url, spans := newCollector(t)
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(upstream)+"telemetry: {traces: {endpoint: \""+url+"\"}}\n")
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	got := side{g.url, clientKey}.ask(t, "a secret question", true, header{"traceparent", "00-" + trace + "-" + parent + "-01"})
	if got.Status != http.StatusOK {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	t.Cleanup(func() {
		spans.mu.Lock()
		defer spans.mu.Unlock()
		for id, span := range spans.spans {
			t.Logf("%s %s trace %x parent %x: %s", spans.from[id], id, span.GetTraceId(), span.GetParentSpanId(), span.GetName())
		}
	})
	eventually(t, "the spans have arrived", func() bool {
		services, root := spans.ancestors("tollgate", trace)
		return len(services) >= 2 && services[1] == "envoy" && root == parent
	})
	spans.mu.Lock()
	defer spans.mu.Unlock()
	for _, span := range spans.spans {
		for _, secret := range []string{clientKey, upstreamKey, "a secret question"} {
			if strings.Contains(span.String(), secret) {
				t.Errorf("a span shows %q: %s", secret, span)
			}
		}
	}
}
