package extproc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/codec"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/extproc/shallow"
)

const maxMessage = 1 << 20 // that servers receive

// scripted is a stream of Envoy's from which a few messages come, and then nothing until it ends.
type scripted struct {
	grpc.ServerStream
	ctx    context.Context //nolint:containedctx // as gRPC's has it
	script []*extprocv3.ProcessingRequest
	waits  func() // called when nothing comes any more
	ends   <-chan struct{}
	answer *extprocv3.ProcessingResponse
}

func (s *scripted) Context() context.Context { return s.ctx }

func (s *scripted) Send(answer *extprocv3.ProcessingResponse) error {
	s.answer = answer
	return nil
}

func (s *scripted) Recv() (*extprocv3.ProcessingRequest, error) {
	message := &extprocv3.ProcessingRequest{}
	return message, s.RecvMsg(message)
}

func (s *scripted) RecvMsg(into any) error {
	if len(s.script) == 0 {
		s.waits()
		<-s.ends
		return io.EOF
	}
	proto.Merge(into.(proto.Message), s.script[0])
	s.script = s.script[1:]
	return nil
}

// begun is a stream's context, with what Envoy tells at its beginning.
func begun(ctx context.Context, told ...string) context.Context {
	return metadata.NewIncomingContext(ctx, metadata.Pairs(told...))
}

// wordless is a listener that does not look at what was said.
type wordless struct{ done chan<- *openai.Answer }

func (wordless) Asked(*openai.Request)                        {}
func (wordless) Event(*openai.Event)                          {}
func (wordless) Words() bool                                  { return false }
func (w wordless) Done(answer *openai.Answer, _ exchange.End) { w.done <- answer }

// TestWaitingTap: a tap that waits for the next event of a stream holds on to what it needs at the end, and not to
// what came before: neither the request, nor, where nobody looks at it, what was said.
func TestWaitingTap(t *testing.T) {
	const streams, most = 2000, 2350 // bytes of each, of which a half is the goroutine and what this test makes
	done := make(chan *openai.Answer, streams)
	gate, c := watched(t, zap.NewNop(), wordless{done})
	first, copies := head(t), copiesOf(t, sseHead(), sseEvent("Once "), sseEvent("upon a time."))

	ends := make(chan struct{})
	var waiting, ended sync.WaitGroup
	before := heap()
	for range streams {
		tap := tapOf(t, gate, c, first, copies)
		tap.waits, tap.ends = waiting.Done, ends
		waiting.Add(1)
		ended.Go(func() {
			if err := gate.Process(tap); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if each := (heap() - before) / streams; each > most {
		t.Errorf("a tap that waits takes %d bytes, more than %d", each, most)
	}
	close(ends)
	ended.Wait()
	for range streams {
		if answer := <-done; answer.Model != "gpt-4o" || len(answer.Choices) > 0 {
			t.Fatalf("the answer is %+v", answer)
		}
	}
}

// panics is a listener with a bug: its first event.
type panics struct {
	wordless
	panicked bool
}

func (p *panics) Event(*openai.Event) {
	if !p.panicked {
		p.panicked = true
		panic("a bug")
	}
}

// TestPanicInTap: a bug is told with the stack of where it is, and the listeners still hear the end.
func TestPanicInTap(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zapcore.DebugLevel)
	done := make(chan *openai.Answer, 1)
	gate, c := watched(t, zap.New(core), &panics{wordless: wordless{done}})
	tap, sent := tapOf(t, gate, c, head(t), nil), copiesOf(t, sseHead(), sseEvent("Once "))
	stream := send(t, served(t, shallow.Server(gate, codec.New(), maxMessage)), tap, sent)
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("the stream ends with %v", err)
	}
	<-done
	told := logged.FilterMessageSnippet("panicked").All()
	if len(told) != 1 || !strings.Contains(fmt.Sprint(told[0].ContextMap()["panic"]), "(*panics).Event") {
		t.Errorf("logged: %v", told)
	}
}

// served is a client of a server.
func served(t *testing.T, processor extprocv3.ExternalProcessorServer) extprocv3.ExternalProcessorClient {
	t.Helper()
	listener, server := bufconn.Listen(1<<16), grpc.NewServer(grpc.ForceServerCodecV2(codec.New()))
	extprocv3.RegisterExternalProcessorServer(server, processor)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:here", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return extprocv3.NewExternalProcessorClient(connection)
}

// send begins a stream as another began, and sends messages on it.
func send(t *testing.T, client extprocv3.ExternalProcessorClient, as *scripted, messages []*extprocv3.ProcessingRequest) extprocv3.ExternalProcessor_ProcessClient {
	t.Helper()
	told, _ := metadata.FromIncomingContext(as.ctx)
	stream, err := client.Process(metadata.NewOutgoingContext(t.Context(), told))
	for _, message := range messages {
		if err == nil {
			err = stream.Send(message)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// watched is a gate with a listener to all calls.
func watched(t *testing.T, log *zap.Logger, l extproc.Listener) (*extproc.Gate, *config.Config) {
	t.Helper()
	gate := extproc.NewGate(extproc.Options{
		Log:     log,
		Observe: []func(*config.Route, *exchange.Call) extproc.Listener{func(*config.Route, *exchange.Call) extproc.Listener { return l }},
	})
	c := parse(t, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.1, keys: ["+real+"]}]\n"+
		"routes: [{prefix: /, upstream: up}]\ntelemetry: {usage: true}\n")
	gate.Configure(c)
	return gate, c
}

// tapOf lets a request pass, and returns the stream of its tap, on which copies come.
func tapOf(t *testing.T, gate *extproc.Gate, c *config.Config, first *extprocv3.ProcessingRequest, copies []*extprocv3.ProcessingRequest) *scripted {
	t.Helper()
	asks := &scripted{ctx: begun(t.Context(), config.RouteHeader, c.Routes[0].ID, config.AddressHeader, "192.0.2.7"), script: []*extprocv3.ProcessingRequest{first}}
	if err := gate.Process(asks); err != nil {
		t.Fatal(err)
	}
	id := asks.answer.GetDynamicMetadata().GetFields()[config.MetadataNamespace].GetStructValue().GetFields()[config.CallKey].GetStringValue()
	return &scripted{ctx: begun(t.Context(), config.CallHeader, id), script: copies}
}

// copiesOf is what a tap gets: a request's head, and an answer.
func copiesOf(t *testing.T, answer ...*extprocv3.ProcessingRequest) []*extprocv3.ProcessingRequest {
	t.Helper()
	copied := head(t)
	copied.ObservabilityMode = true
	return append([]*extprocv3.ProcessingRequest{copied}, answer...)
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func sseHead() *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{
		ObservabilityMode: true,
		Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
			{Key: ":status", RawValue: []byte("200")}, {Key: "content-type", RawValue: []byte("text/event-stream")},
		}}}},
	}
}

func sseEvent(words string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{
		ObservabilityMode: true,
		Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{
			Body: []byte(`data: {"id":"chatcmpl-1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"` + words + `"}}]}` + "\n\n"),
		}},
	}
}
