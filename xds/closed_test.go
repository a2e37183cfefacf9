package xds_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/config"
	"tollgate/test/envoytest"
)

// gate is an external processor that a test makes up.
type gate struct {
	extprocv3.UnimplementedExternalProcessorServer

	process func(extprocv3.ExternalProcessor_ProcessServer) error
}

func (g gate) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	return g.process(stream)
}

// passWith is the answer that lets a request on, with the given verdict.
func passWith(verdict string) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}},
		DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			config.MetadataNamespace: structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
				config.VerdictKey: structpb.NewStringValue(verdict),
			}}),
		}},
	}
}

// TestFailsClosed: however the gate fails, the request is refused in OpenAI's shape, and no byte of
// it, least of all the client's key, reaches the upstream. The last case shows that the test can see.
func TestFailsClosed(t *testing.T) {
	t.Parallel()
	type processor = func(extprocv3.ExternalProcessor_ProcessServer) error
	afterHead := func(then processor) processor {
		return func(s extprocv3.ExternalProcessor_ProcessServer) error {
			if _, err := s.Recv(); err != nil {
				return err
			}
			return then(s)
		}
	}
	tests := map[string]struct {
		process processor
		status  int
		code    string
	}{
		"ends at once":        {func(extprocv3.ExternalProcessor_ProcessServer) error { return nil }, 403, "gate_without_verdict"},
		"ends after the head": {afterHead(func(extprocv3.ExternalProcessor_ProcessServer) error { return nil }), 403, "gate_without_verdict"},
		"ends with an error":  {afterHead(func(extprocv3.ExternalProcessor_ProcessServer) error { return status.Error(codes.Internal, "failed") }), 503, "gate_unavailable"},
		"answers nothing":     {afterHead(func(s extprocv3.ExternalProcessor_ProcessServer) error { <-s.Context().Done(); return nil }), 504, "gate_timeout"},
		"passes without verdict": {afterHead(func(s extprocv3.ExternalProcessor_ProcessServer) error {
			return s.Send(&extprocv3.ProcessingResponse{Response: passWith("").GetResponse()})
		}), 403, "gate_without_verdict"},
		"says something else": {afterHead(func(s extprocv3.ExternalProcessor_ProcessServer) error { return s.Send(passWith("maybe")) }), 403, "gate_without_verdict"},
		"answers another question": {afterHead(func(s extprocv3.ExternalProcessor_ProcessServer) error {
			return s.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}})
		}), 503, "gate_unavailable"},
		"passes": {afterHead(func(s extprocv3.ExternalProcessor_ProcessServer) error { return s.Send(passWith(config.VerdictPass)) }), 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := newUpstream(t)
			url := startEnvoy(t, gate{process: test.process}, upstream.URL)
			response, body := ask(t, url)
			if response.StatusCode != test.status || !strings.Contains(body, test.code) {
				t.Errorf("the client got %d %s, want %d and code %q", response.StatusCode, body, test.status, test.code)
			}
			if seen := upstream.seen(); (len(seen) > 0) != (test.status == 200) {
				t.Errorf("the upstream saw %q", seen)
			}
		})
	}
}

// TestAttemptFailsClosed: however what chooses another attempt's key fails, the attempt is not made, and the
// upstream never sees a key that was not chosen for it. The last case shows that the test can see.
func TestAttemptFailsClosed(t *testing.T) {
	t.Parallel()
	type processor = func(extprocv3.ExternalProcessor_ProcessServer) error
	with := func(key string) *extprocv3.HeadersResponse {
		return &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{
			SetHeaders: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "authorization", RawValue: []byte(key)}}},
		}}}
	}
	pass := passWith(config.VerdictPass)
	pass.Response = &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: with("first")}
	for name, test := range map[string]struct {
		attempt processor
		status  int
		seen    []string
	}{
		"error": {func(extprocv3.ExternalProcessor_ProcessServer) error { return status.Error(codes.Internal, "failed") }, 503, []string{"first"}},
		"hangs": {func(s extprocv3.ExternalProcessor_ProcessServer) error { <-s.Context().Done(); return nil }, 504, []string{"first"}},
		"answers another question": {func(s extprocv3.ExternalProcessor_ProcessServer) error {
			return s.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: with("second")}})
		}, 503, []string{"first"}},
		"gives a key": {func(s extprocv3.ExternalProcessor_ProcessServer) error {
			return s.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: with("second")}})
		}, 200, []string{"first", "second"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := newUpstream(t)
			upstream.turnsDown = "first"
			envoy := envoytest.Start(t, gate{process: func(s extprocv3.ExternalProcessor_ProcessServer) error {
				if _, err := s.Recv(); err != nil {
					return err
				}
				md, _ := metadata.FromIncomingContext(s.Context())
				switch {
				case len(md.Get(config.UpstreamHeader)) == 0:
					return s.Send(pass)
				case md.Get(config.RouteHeader) == nil:
					t.Error("an attempt does not name its route")
				}
				return test.attempt(s)
			}}, fmt.Sprintf(`
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: up, url: %q, keys: [sk-one, sk-two]}]
routes: [{prefix: /, upstream: up}]
`, upstream.URL))
			response, body := ask(t, envoy.URL)
			if response.StatusCode != test.status {
				t.Errorf("the client got %d %s, want %d", response.StatusCode, body, test.status)
			}
			if diff := cmp.Diff(test.seen, upstream.seen()); diff != "" {
				t.Errorf("the upstream saw (-want +got):\n%s", diff)
			}
		})
	}
}

// recorded is what the gate's own tests play back.
const recorded = "../extproc/testdata/head.txtpb"

// TestHead: what Envoy sends to the gate is what was recorded from it, and the stream names the route and the
// client's address.
func TestHead(t *testing.T) {
	t.Parallel()
	heads := make(chan *extprocv3.ProcessingRequest, 1)
	routes, addresses := make(chan []string, 1), make(chan []string, 1)
	url := startEnvoy(t, gate{process: func(s extprocv3.ExternalProcessor_ProcessServer) error {
		head, err := s.Recv()
		if err != nil {
			return err
		}
		heads <- head
		routes <- metadata.ValueFromIncomingContext(s.Context(), config.RouteHeader)
		addresses <- metadata.ValueFromIncomingContext(s.Context(), config.AddressHeader)
		return s.Send(passWith(config.VerdictPass))
	}}, newUpstream(t).URL)
	ask(t, url)

	if route := <-routes; len(route) != 1 || !strings.HasPrefix(route[0], "/@") {
		t.Errorf("the stream names the route %q, want one that begins with /@", route)
	}
	if diff := cmp.Diff([]string{"127.0.0.1"}, <-addresses); diff != "" {
		t.Errorf("the stream names the client's address (-want +got):\n%s", diff)
	}
	// Ports differ from run to run.
	ports := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	got := ports.ReplaceAllString(prototext.MarshalOptions{Multiline: true}.Format(<-heads), "127.0.0.1:1")
	got = strings.ReplaceAll(got, ":  ", ": ") // prototext varies its white space on purpose
	if *update {
		if err := os.WriteFile(recorded, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("Envoy sends (-recorded +now):\n%s", diff)
	}
}

// upstream notes the Authorization headers that reach it.
type upstream struct {
	*httptest.Server

	turnsDown string // one of them

	mu   sync.Mutex
	keys []string
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		key := r.Header.Get("Authorization")
		u.keys = append(u.keys, key)
		if key == u.turnsDown && key != "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) seen() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keys
}

func ask(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer fk-sentinel-0123456789")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// startEnvoy runs a real Envoy with the given gate and upstream, and returns the URL for clients.
func startEnvoy(t *testing.T, processor extprocv3.ExternalProcessorServer, upstream string) string {
	t.Helper()
	return envoytest.Start(t, processor, fmt.Sprintf(`
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: up, url: %q}]
routes: [{prefix: /, upstream: up}]
`, upstream)).URL
}
