package usage

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP endpoint: what it got is there to be looked at.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	url    string
	answer func() error // nil: all is well

	mu      sync.Mutex
	got     []*collectorv1.ExportTraceServiceRequest
	headers []string // of all requests, the test's own
}

// Export is the gRPC endpoint.
func (c *collector) Export(
	ctx context.Context, request *collectorv1.ExportTraceServiceRequest,
) (*collectorv1.ExportTraceServiceResponse, error) {
	if c.answer != nil {
		if err := c.answer(); err != nil {
			return nil, err
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	c.keep(request, md.Get("x-collector-key"))
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// ServeHTTP is the HTTP endpoint.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collectorv1.ExportTraceServiceRequest{}
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, request) != nil {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.keep(request, r.Header.Values("X-Collector-Key"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) keep(request *collectorv1.ExportTraceServiceRequest, headers []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, request)
	c.headers = append(c.headers, headers...)
}

func grpcCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &collector{url: "http://" + listener.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return c
}

func httpCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) spans() []*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var spans []*tracev1.Span
	for _, request := range c.got {
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				spans = append(spans, scope.GetSpans()...)
			}
		}
	}
	return spans
}

// text is all that the collector got, to be searched.
func (c *collector) text(t *testing.T) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, request := range c.got {
		encoded, err := protojson.Marshal(request)
		require.NoError(t, err)
		text += string(encoded)
	}
	require.NotEmpty(t, text, "nothing was exported, so nothing can be searched")
	return text
}

// attributes are a span's as Go values.
func attributes(span *tracev1.Span) map[string]any {
	as := map[string]any{}
	for _, a := range span.GetAttributes() {
		as[a.GetKey()] = plainValue(a.GetValue())
	}
	return as
}

func plainValue(v *commonv1.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *commonv1.AnyValue_StringValue:
		return v.StringValue
	case *commonv1.AnyValue_IntValue:
		return v.IntValue
	case *commonv1.AnyValue_DoubleValue:
		return v.DoubleValue
	case *commonv1.AnyValue_BoolValue:
		return v.BoolValue
	case *commonv1.AnyValue_ArrayValue:
		var list []any
		for _, one := range v.ArrayValue.GetValues() {
			list = append(list, plainValue(one))
		}
		return list
	default:
		return nil
	}
}
