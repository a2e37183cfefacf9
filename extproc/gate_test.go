package extproc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/limit"
)

const (
	client = "fk-sentinel-0123456789" // the key in the recording
	real   = "sk-real-0123456789"
)

// head is what a real Envoy sent first: see TestHead in package xds.
func head(tb testing.TB) *extprocv3.ProcessingRequest {
	tb.Helper()
	text, err := os.ReadFile("testdata/head.txtpb")
	if err != nil {
		tb.Fatal(err)
	}
	message := &extprocv3.ProcessingRequest{}
	if err := prototext.Unmarshal(text, message); err != nil {
		tb.Fatal(err)
	}
	return message
}

func parse(tb testing.TB, yaml string) *config.Config {
	tb.Helper()
	c, err := config.Parse("test.yaml", []byte(yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func configured(tb testing.TB, log *zap.Logger) (*extproc.Gate, *config.Config) {
	tb.Helper()
	c := parse(tb, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.1, keys: ["+real+"]}]\n"+
		"routes: [{prefix: /, upstream: up}]\n")
	gate := extproc.NewGate(extproc.Options{Log: log})
	gate.Configure(c)
	return gate, c
}

// ask opens a stream on the route, sends the message, and returns the answer and how the stream ended. More
// of the stream's metadata may be given.
func ask(t *testing.T, gate *extproc.Gate, route string, message *extprocv3.ProcessingRequest, more ...string) (*extprocv3.ProcessingResponse, error) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), append([]string{config.RouteHeader, route}, more...)...)
	stream, err := served(t, gate).Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(message); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	_, err = stream.Recv()
	return answer, err
}

func verdict(answer *extprocv3.ProcessingResponse) string {
	return answer.GetDynamicMetadata().GetFields()[config.MetadataNamespace].GetStructValue().
		GetFields()[config.VerdictKey].GetStringValue()
}

func TestPass(t *testing.T) {
	t.Parallel()
	gate, c := configured(t, zap.NewNop())
	answer, err := ask(t, gate, c.Routes[0].ID, head(t))
	if !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want a clean end", err)
	}
	if verdict(answer) != config.VerdictPass {
		t.Errorf("the verdict is %q", verdict(answer))
	}
	set := answer.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
	if len(set) != 1 || set[0].GetHeader().GetKey() != "authorization" || string(set[0].GetHeader().GetRawValue()) != "Bearer "+real {
		t.Errorf("the headers set are %v", set)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	gate, c := configured(t, zap.NewNop())
	message := head(t)
	for _, h := range message.GetRequestHeaders().GetHeaders().GetHeaders() {
		if h.GetKey() == "authorization" {
			h.RawValue = []byte("Bearer another")
		}
	}
	answer, err := ask(t, gate, c.Routes[0].ID, message)
	if !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want a clean end", err)
	}
	immediate := answer.GetImmediateResponse()
	var body struct {
		Error struct {
			Message, Type, Code string
			Param               *string
		}
	}
	if err := json.Unmarshal(immediate.GetBody(), &body); err != nil {
		t.Fatal(err)
	}
	if immediate.GetStatus().GetCode() != 401 || body.Error.Code != "invalid_api_key" || body.Error.Message == "" || body.Error.Type != "invalid_request_error" {
		t.Errorf("refused with %v %+v", immediate.GetStatus(), body)
	}
	if verdict(answer) != config.VerdictRefuse {
		t.Errorf("the verdict is %q", verdict(answer))
	}
}

// TestNoRoute: what Envoy has no route for is refused, and is no failure of the gate.
func TestNoRoute(t *testing.T) {
	t.Parallel()
	gate, _ := configured(t, zap.NewNop())
	answer, err := ask(t, gate, "", head(t))
	if immediate := answer.GetImmediateResponse(); !errors.Is(err, io.EOF) || immediate.GetStatus().GetCode() != 404 || verdict(answer) != config.VerdictRefuse {
		t.Errorf("the stream ended with %v, the answer is %v", err, answer)
	}
}

// TestFailures: what the gate cannot judge ends in an error, never in a clean end, and what is
// logged holds no key.
func TestFailures(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.DebugLevel)
	gate, c := configured(t, zap.New(core))
	for name, attempt := range map[string]func() error{
		"an unknown route": func() error { _, err := ask(t, gate, "/@0", head(t)); return err },
		"not a head": func() error {
			_, err := ask(t, gate, c.Routes[0].ID, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{}}})
			return err
		},
		"not configured": func() error {
			_, err := ask(t, extproc.NewGate(extproc.Options{Log: zap.New(core)}), c.Routes[0].ID, head(t))
			return err
		},
		"a panic": func() error {
			broken := extproc.NewGate(extproc.Options{Log: zap.New(core), Limits: struct{ limit.Store }{}}) // a store that is none
			c := parse(t, "upstreams: [{name: up, url: http://192.0.2.1}]\nroutes: [{prefix: /, upstream: up, limits: [{requests: 1/hour}]}]\n")
			broken.Configure(c)
			_, err := ask(t, broken, c.Routes[0].ID, head(t))
			return err
		},
	} {
		if err := attempt(); status.Code(err) != codes.Internal {
			t.Errorf("%s: the stream ended with %v, want an internal error", name, err)
		}
	}
	for _, entry := range logged.All() {
		if line := entry.Message + strings.Join(fields(entry), " "); strings.Contains(line, client) || strings.Contains(line, real) {
			t.Errorf("a key is logged: %s", line)
		}
	}
	if logged.FilterMessageSnippet("panicked").Len() != 1 {
		t.Errorf("want one panic logged, got %v", logged.All())
	}
}

// TestGoneIsNoError: a client that goes before its body is whole is no fault of the gate, and no request passes.
func TestGoneIsNoError(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.DebugLevel)
	gate, c := configured(t, zap.New(core))
	withBody := head(t)
	withBody.GetRequestHeaders().EndOfStream = false
	withBody.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: filterv3.ProcessingMode_FULL_DUPLEX_STREAMED}
	dead := status.Error(codes.Unavailable, "transport is closing")
	for name, stream := range map[string]*ending{
		"at once": {}, "after its headers": {messages: []*extprocv3.ProcessingRequest{withBody}},
		"and Envoy dies": {messages: []*extprocv3.ProcessingRequest{head(t)}, dead: dead},
	} {
		stream.ctx = metadata.NewIncomingContext(t.Context(), metadata.Pairs(config.RouteHeader, c.Routes[0].ID))
		if err := gate.Process(stream); status.Code(err) != codes.Canceled {
			t.Errorf("%s: the stream ended with %v", name, err)
		}
	}
	if logged.Len() > 0 {
		t.Errorf("logged: %v", logged.All())
	}
}

// ending is a stream that Envoy ends when it has sent some messages.
type ending struct {
	played

	messages []*extprocv3.ProcessingRequest
	dead     error // what sending to it comes to
}

func (e *ending) Send(*extprocv3.ProcessingResponse) error { return e.dead }

func (e *ending) Recv() (*extprocv3.ProcessingRequest, error) {
	if len(e.messages) == 0 {
		return nil, io.EOF
	}
	next := e.messages[0]
	e.messages = e.messages[1:]
	return next, nil
}

func fields(entry observer.LoggedEntry) []string {
	var list []string
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range entry.Context {
		f.AddTo(encoder)
	}
	for name, value := range encoder.Fields {
		text, _ := json.Marshal(value)
		list = append(list, name+"="+string(text))
	}
	return list
}

// TestRetiringRoute: a request that Envoy matched by the configuration before still gets the key of
// the upstream that it was matched to.
func TestRetiringRoute(t *testing.T) {
	t.Parallel()
	gate, old := configured(t, zap.NewNop())
	next := parse(t, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.2, keys: [sk-another]}]\n"+
		"routes: [{prefix: /, upstream: up}]\n")
	if next.Routes[0].ID == old.Routes[0].ID {
		t.Fatal("another upstream has the same route id")
	}
	gate.Configure(next)
	for id, key := range map[string]string{old.Routes[0].ID: real, next.Routes[0].ID: "sk-another"} {
		answer, _ := ask(t, gate, id, head(t))
		set := answer.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()
		if len(set) != 1 || string(set[0].GetHeader().GetRawValue()) != "Bearer "+key {
			t.Errorf("route %s: the headers set are %v", id, set)
		}
	}
}

// TestRouteOfMany: where Envoy's name stands for many routes, the request's path says which of them it is; a request whose
// path is of none of them is refused, whatever else is at that path.
func TestRouteOfMany(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.ErrorLevel)
	gate := extproc.NewGate(extproc.Options{Log: zap.New(core)})
	c := parse(t, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.1, keys: ["+real+"]}, {name: other, url: http://192.0.2.2, keys: [sk-another]}]\n"+
		"routes: [{prefix: /a, upstream: up}, {prefix: /b, upstream: up}, {prefix: /c, upstream: other}, {prefix: /, upstream: up}]\n")
	gate.Configure(c)
	byPrefix := map[string]*config.Route{}
	for _, r := range c.Routes {
		byPrefix[r.Prefix] = r
	}
	name := config.NameOfMany(byPrefix["/a"].Key(), "1")
	for path, want := range map[string]string{
		"/a": "/a", "/a/v1/chat/completions?x=/b": "/a", "/b/v1": "/b", // of the same upstream
		"/c/v1": "", "/d/v1": "", "/": "", "/v1/a": "", "": "",
	} {
		message := head(t)
		for _, h := range message.GetRequestHeaders().GetHeaders().GetHeaders() {
			if h.GetKey() == ":path" {
				h.RawValue = []byte(path)
			}
		}
		answer, err := ask(t, gate, name, message)
		said := answer.GetDynamicMetadata().GetFields()[config.MetadataNamespace].GetStructValue().GetFields()[config.SaidRouteKey].GetStringValue()
		switch {
		case want == "" && (answer != nil || status.Code(err) != codes.Internal):
			t.Errorf("%s: the gate answers %v, %v", path, answer, err)
		case want != "" && (verdict(answer) != config.VerdictPass || said != byPrefix[want].ID):
			t.Errorf("%s: the verdict is %q, the route said %q, %v", path, verdict(answer), said, err)
		}
	}
	if got := logged.FilterMessageSnippet("could not decide").Len(); got != 5 {
		t.Errorf("%d refusals are logged: %v", got, logged.All())
	}
}

// played is a stream that hands out one message and swallows the answer.
type played struct {
	grpc.ServerStream

	ctx     context.Context //nolint:containedctx // a stream has one
	message *extprocv3.ProcessingRequest
}

func (p *played) Context() context.Context                    { return p.ctx }
func (p *played) Recv() (*extprocv3.ProcessingRequest, error) { return p.message, nil }
func (p *played) Send(*extprocv3.ProcessingResponse) error    { return nil }

// BenchmarkGate is the gate's own work on one request, without gRPC.
func BenchmarkGate(b *testing.B) {
	gate, c := configured(b, zap.NewNop())
	stream := &played{
		ctx:     metadata.NewIncomingContext(b.Context(), metadata.Pairs(config.RouteHeader, c.Routes[0].ID)),
		message: head(b),
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := gate.Process(stream); err != nil {
			b.Fatal(err)
		}
	}
}
