package extproc_test

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

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
	const streams, most = 2000, 2400 // bytes of each, of which a half is the goroutine and what this test makes
	done := make(chan *openai.Answer, streams)
	gate := extproc.NewGate(extproc.Options{
		Log:     zap.NewNop(),
		Observe: []func(*config.Route, *exchange.Call) extproc.Listener{func(*config.Route, *exchange.Call) extproc.Listener { return wordless{done} }},
	})
	c := parse(t, "clients: [{name: alice, keys: ["+client+"]}]\n"+
		"upstreams: [{name: up, url: http://192.0.2.1, keys: ["+real+"]}]\n"+
		"routes: [{prefix: /, upstream: up}]\ntelemetry: {usage: true}\n")
	gate.Configure(c)
	first, copied := head(t), head(t)
	copied.ObservabilityMode = true
	script := []*extprocv3.ProcessingRequest{copied, sseHead(), sseEvent("Once "), sseEvent("upon a time.")}

	ends := make(chan struct{})
	var waiting, ended sync.WaitGroup
	before := heap()
	for range streams {
		asks := &scripted{ctx: begun(t.Context(), config.RouteHeader, c.Routes[0].ID, config.AddressHeader, "192.0.2.7"), script: []*extprocv3.ProcessingRequest{first}}
		if err := gate.Process(asks); err != nil {
			t.Fatal(err)
		}
		id := asks.answer.GetDynamicMetadata().GetFields()[config.MetadataNamespace].GetStructValue().GetFields()[config.CallKey].GetStringValue()
		waiting.Add(1)
		ended.Go(func() {
			tap := &scripted{ctx: begun(t.Context(), config.CallHeader, id), script: script, waits: waiting.Done, ends: ends}
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
