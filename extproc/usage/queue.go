package usage

import (
	"context"
	"fmt"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxPending bounds the spans that wait for the collector.
	maxPending = 2048

	// batchSize keeps a message with prompts below the 4 MB that a gRPC server takes.
	batchSize, batchSizeWithPrompts = 512, 64
)

// queue is the SDK's batch processor with its losses counted: that one drops without a word. Here a
// span that has no room never gets to it, and it has more room than is ever used.
type queue struct {
	sdktrace.SpanProcessor
	exporter sdktrace.SpanExporter
	pending  atomic.Int64
	lost     atomic.Int64
	closed   atomic.Bool
	failing  atomic.Bool
	onLoss   func(int)
	onError  func(error)
}

func newQueue(exporter sdktrace.SpanExporter, options *TraceOptions) *queue {
	q := &queue{exporter: exporter, onLoss: options.Lost, onError: options.Failed}
	size := batchSize
	if options.Prompts {
		size = batchSizeWithPrompts
	}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(counted{q},
		sdktrace.WithMaxQueueSize(2*maxPending), sdktrace.WithMaxExportBatchSize(size))
	return q
}

// OnEnd takes a span, or drops it where too many wait.
func (q *queue) OnEnd(span sdktrace.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	if q.closed.Load() {
		q.lose(1)
		return
	}
	if q.pending.Add(1) > maxPending {
		q.pending.Add(-1)
		q.lose(1)
		return
	}
	q.SpanProcessor.OnEnd(span)
}

// Shutdown sends what waits. What ctx does not leave the time for is lost.
func (q *queue) Shutdown(ctx context.Context) error {
	if q.closed.Swap(true) {
		return nil
	}
	err := q.SpanProcessor.Shutdown(ctx)
	q.lose(q.take(maxPending))
	if err != nil {
		return fmt.Errorf("flush spans: %w", err)
	}
	return nil
}

// take removes n spans from those that wait; fewer, where Shutdown has counted them as lost already.
func (q *queue) take(n int64) int64 {
	for {
		pending := q.pending.Load()
		taken := min(n, pending)
		if q.pending.CompareAndSwap(pending, pending-taken) {
			return taken
		}
	}
}

func (q *queue) lose(n int64) {
	if n <= 0 {
		return
	}
	q.lost.Add(n)
	if q.onLoss != nil {
		q.onLoss(int(n))
	}
}

// counted is the exporter as the batch processor sees it.
type counted struct{ q *queue }

// ExportSpans sends a batch. Its error is told and counted here, and not to the SDK, whose handler
// is one for the whole process and prints each.
func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.q.exporter.ExportSpans(ctx, spans)
	n := c.q.take(int64(len(spans)))
	if err == nil {
		c.q.failing.Store(false)
		return nil
	}
	c.q.lose(n)
	if !c.q.failing.Swap(true) && c.q.onError != nil {
		c.q.onError(err)
	}
	return nil
}

// Shutdown closes the connection.
func (c counted) Shutdown(ctx context.Context) error {
	if err := c.q.exporter.Shutdown(ctx); err != nil {
		return fmt.Errorf("close the connection to the collector: %w", err)
	}
	return nil
}
