package usage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCall is all that a call costs, without its events.
func BenchmarkCall(b *testing.B) {
	m := NewMetrics("v1")
	call, request, answer, end := aCall(), aRequest(b), anAnswer(), anEnd()
	first := streamed()[2]
	b.ReportAllocs()
	for b.Loop() {
		meter := m.Begin(call)
		meter.Asked(request)
		meter.Event(first)
		meter.Done(answer, end)
	}
}

// BenchmarkCalls is the same on all processors at once.
func BenchmarkCalls(b *testing.B) {
	m := NewMetrics("v1")
	call, request, answer, end := aCall(), aRequest(b), anAnswer(), anEnd()
	first := streamed()[2]
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			meter := m.Begin(call)
			meter.Asked(request)
			meter.Event(first)
			meter.Done(answer, end)
		}
	})
}

func BenchmarkSpan(b *testing.B) {
	tracer, err := NewTracer(b.Context(), TraceOptions{Endpoint: "http://127.0.0.1:1", SampleRatio: 1})
	require.NoError(b, err)
	call, request, answer, end := aCall(), aRequest(b), anAnswer(), anEnd()
	b.ReportAllocs()
	for b.Loop() {
		span := tracer.Begin(call)
		span.Asked(request)
		span.Done(answer, end)
	}
}

func BenchmarkSpanNotSampled(b *testing.B) {
	tracer, err := NewTracer(b.Context(), TraceOptions{Endpoint: "http://127.0.0.1:1", SampleRatio: 0})
	require.NoError(b, err)
	call, request, answer, end := aCall(), aRequest(b), anAnswer(), anEnd()
	b.ReportAllocs()
	for b.Loop() {
		span := tracer.Begin(call)
		span.Asked(request)
		span.Done(answer, end)
	}
}
