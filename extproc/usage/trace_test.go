package usage

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func newTracer(t *testing.T, options TraceOptions) *Tracer {
	t.Helper()
	tracer, err := NewTracer(t.Context(), options)
	require.NoError(t, err)
	tracer.now = atHalf
	t.Cleanup(func() { // again where a test has done it: that must do no harm
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		assert.NoError(t, tracer.Shutdown(ctx))
	})
	return tracer
}

// TestSpan sends the same call to both kinds of collectors.
func TestSpan(t *testing.T) {
	for protocol, start := range map[string]func(*testing.T) *collector{
		"grpc": grpcCollector, "http/protobuf": httpCollector,
	} {
		t.Run(protocol, func(t *testing.T) {
			c := start(t)
			tracer := newTracer(t, TraceOptions{
				Endpoint: c.url, Protocol: protocol, SampleRatio: 1, Version: "v1.2.3",
				Headers: map[string]string{"x-collector-key": sentinel},
				Address: func(string) (string, int) { return "api.openai.com", 443 },
			})
			call := aCall()
			call.Parent = "00-" + traceID + "-" + spanID + "-01"
			hear(tracer.Begin(call), aRequest(t), anAnswer(), anEnd())
			require.NoError(t, tracer.Shutdown(t.Context()))

			checkSpan(t, c)
			assert.Equal(t, []string{sentinel}, c.headers)
			assert.Zero(t, tracer.Lost())
			text := c.text(t)
			assert.Contains(t, text, "v1.2.3")
			for _, private := range []string{sentinel, "secret", "Be brief"} {
				assert.NotContains(t, text, private)
			}
		})
	}
}

func checkSpan(t *testing.T, c *collector) {
	t.Helper()
	spans := c.spans()
	require.Len(t, spans, 1)
	span := spans[0]
	assert.Equal(t, "chat gpt-4o", span.GetName())
	assert.Equal(t, tracev1.Span_SPAN_KIND_CLIENT, span.GetKind())
	assert.Equal(t, traceID, hex.EncodeToString(span.GetTraceId()))
	assert.Equal(t, spanID, hex.EncodeToString(span.GetParentSpanId()))
	assert.Equal(t, noon().UnixNano(), int64(span.GetStartTimeUnixNano()))
	assert.Equal(t, after(1.5).UnixNano(), int64(span.GetEndTimeUnixNano()))
	require.Len(t, span.GetEvents(), 1)
	assert.Equal(t, after(0.5).UnixNano(), int64(span.GetEvents()[0].GetTimeUnixNano()))
	assert.Equal(t, map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
		"gen_ai.request.model": "gpt-4o", "gen_ai.request.stream": true,
		"gen_ai.request.max_tokens": int64(100), "gen_ai.request.temperature": 0.5, "gen_ai.request.top_p": 0.9,
		"gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": "chatcmpl-1",
		"gen_ai.response.finish_reasons":       []any{"stop"},
		"gen_ai.response.time_to_first_chunk":  0.5,
		"gen_ai.usage.input_tokens":            int64(20),
		"gen_ai.usage.output_tokens":           int64(11),
		"gen_ai.usage.cache_read.input_tokens": int64(8), "gen_ai.usage.reasoning.output_tokens": int64(3),
		"http.response.status_code": int64(200), "server.address": "api.openai.com", "server.port": int64(443),
		"tollgate.call": "call-1", "tollgate.route": "/", "tollgate.client": "alice",
		"tollgate.upstream": "openai", "tollgate.end": "whole",
	}, attributes(span))
}

// TestEnds has calls that did not go well, or are none that is known.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		path    string
		request *openai.Request
		answer  *openai.Answer
		end     exchange.End
		span    string
		error   any
	}{
		{"nothing known", "/v1/chat/completions", nil, nil, exchange.End{Cause: exchange.Unseen}, "chat", "unseen"},
		{"cut", "/v1/chat/completions", nil, nil, exchange.End{Cause: exchange.Cut, Status: 200}, "chat", "cut"},
		{"too many", "/v1/embeddings", nil, nil, exchange.End{Cause: exchange.Whole, Status: 429}, "embeddings", "429"},
		{
			"Envoy's", "/v1/messages", nil, nil,
			exchange.End{Cause: exchange.Refused, Status: 503, Code: "upstream_unavailable"},
			"chat", "upstream_unavailable",
		},
		{
			"an error in the stream", "/v1/messages", nil,
			&openai.Answer{Error: json.RawMessage(`{"type": "overloaded_error", "message": "` + sentinel + `"}`)},
			anEnd(), "chat", "overloaded_error",
		},
		{"a list of models", "/v1/models", nil, nil, anEnd(), "POST /", nil},
		{
			"a name that is too long, and no UTF-8", "/v1/chat/completions",
			&openai.Request{API: openai.Chat, Model: "\xff" + strings.Repeat("x", 1000)}, nil, anEnd(),
			"chat ?" + strings.Repeat("x", 99), nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			collector := grpcCollector(t)
			tracer := newTracer(t, TraceOptions{Endpoint: collector.url, SampleRatio: 1})
			call := aCall()
			call.Path = c.path
			span := tracer.Begin(call)
			span.Asked(c.request)
			span.Done(c.answer, c.end)
			span.Done(c.answer, c.end)
			require.NoError(t, tracer.Shutdown(t.Context()))
			require.Len(t, collector.spans(), 1)
			got := collector.spans()[0]
			assert.Equal(t, c.span, got.GetName())
			assert.Equal(t, c.error, attributes(got)["error.type"])
			assert.Equal(t, c.error != nil, got.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR)
			assert.NotContains(t, collector.text(t), sentinel)
		})
	}
}

func TestParents(t *testing.T) {
	for parent, want := range map[string]struct {
		traced bool
		trace  string // empty: a new one
	}{
		"":                                           {true, ""},
		"00-" + traceID + "-" + spanID + "-01":       {true, traceID},
		"00-" + traceID + "-" + spanID + "-00":       {false, ""},
		"00-" + traceID + "-0000000000000000-01":     {true, ""},
		"00-" + traceID + "-01":                      {true, ""},
		"ff-" + traceID + "-" + spanID + "-01":       {true, ""},
		"cc-" + traceID + "-" + spanID + "-01-other": {true, traceID},
		"nonsense \xff":                              {true, ""},
	} {
		t.Run(parent, func(t *testing.T) {
			c := grpcCollector(t)
			tracer := newTracer(t, TraceOptions{Endpoint: c.url, SampleRatio: 1})
			call := aCall()
			call.Parent = parent
			hear(tracer.Begin(call), aRequest(t), anAnswer(), anEnd())
			require.NoError(t, tracer.Shutdown(t.Context()))
			require.Equal(t, want.traced, len(c.spans()) == 1)
			if !want.traced {
				return
			}
			span := c.spans()[0]
			assert.Equal(t, want.trace == "", len(span.GetParentSpanId()) == 0)
			assert.Equal(t, want.trace != "", hex.EncodeToString(span.GetTraceId()) == traceID)
		})
	}
}

// TestVariables leaves everything to the environment.
func TestVariables(t *testing.T) {
	c := httpCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=abc")
	t.Setenv("OTEL_SERVICE_NAME", "gateway-of-mine")
	tracer := newTracer(t, TraceOptions{SampleRatio: -1})
	hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
	require.NoError(t, tracer.Shutdown(t.Context()))
	assert.Contains(t, c.text(t), "gateway-of-mine")
	assert.Equal(t, []string{"abc"}, c.headers)
}

func TestNotTraced(t *testing.T) {
	for name, options := range map[string]TraceOptions{
		"by ratio":    {SampleRatio: 0},
		"by variable": {SampleRatio: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := grpcCollector(t)
			options.Endpoint = c.url
			if name == "by variable" {
				t.Setenv("OTEL_SDK_DISABLED", "true")
			}
			tracer := newTracer(t, options)
			hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
			require.NoError(t, tracer.Shutdown(t.Context()))
			assert.Empty(t, c.spans())
			assert.Zero(t, tracer.Lost())
		})
	}
}

func TestBadOptions(t *testing.T) {
	for want, options := range map[string]TraceOptions{
		`endpoint "localhost:4317" is not a URL`:                 {Endpoint: "localhost:4317"},
		`endpoint "ftp://x" is not a URL`:                        {Endpoint: "ftp://x"},
		`protocol "http/json" is neither grpc nor http/protobuf`: {Protocol: "http/json"},
	} {
		_, err := NewTracer(t.Context(), options)
		assert.ErrorContains(t, err, want)
	}
}

// TestCollectorRefuses counts what a collector turns down, and says it once.
func TestCollectorRefuses(t *testing.T) {
	c := grpcCollector(t)
	c.answer = func() error { return status.Error(codes.PermissionDenied, "no") }
	var lost, said atomic.Int64
	tracer := newTracer(t, TraceOptions{
		Endpoint: c.url, SampleRatio: 1,
		Headers: map[string]string{"x-collector-key": sentinel},
		Lost:    func(n int) { lost.Add(int64(n)) },
		Failed: func(err error) {
			said.Add(1)
			assert.Contains(t, err.Error(), "PermissionDenied")
			assert.NotContains(t, err.Error(), sentinel)
		},
	})
	for range 3 {
		hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
		require.NoError(t, tracer.provider.ForceFlush(t.Context()))
	}
	assert.EqualValues(t, 3, tracer.Lost())
	assert.EqualValues(t, 3, lost.Load())
	assert.EqualValues(t, 1, said.Load())
}

// TestCollectorStuck fills the queue while a collector does not answer: no call waits for it.
func TestCollectorStuck(t *testing.T) {
	const calls = maxPending + 1000
	c := grpcCollector(t)
	stuck := make(chan struct{})
	c.answer = func() error {
		<-stuck
		return nil
	}
	tracer := newTracer(t, TraceOptions{Endpoint: c.url, SampleRatio: 1})
	var all sync.WaitGroup
	for range calls {
		all.Go(func() { hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd()) })
	}
	all.Wait()
	assert.EqualValues(t, calls-maxPending, tracer.Lost())
	close(stuck)
	require.NoError(t, tracer.Shutdown(t.Context()))
	assert.Len(t, c.spans(), maxPending)
	hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
}

// TestShutdownHasAnEnd gives up on a collector that does not answer, and counts.
func TestShutdownHasAnEnd(t *testing.T) {
	c := grpcCollector(t)
	stuck := make(chan struct{})
	c.answer = func() error {
		<-stuck
		return nil
	}
	defer close(stuck)
	tracer := newTracer(t, TraceOptions{Endpoint: c.url, SampleRatio: 1})
	hear(tracer.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, tracer.Shutdown(ctx), context.DeadlineExceeded)
	assert.EqualValues(t, 1, tracer.Lost())
}
