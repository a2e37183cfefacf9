package usage

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// TraceOptions say where spans go and what is in them. Where a field is empty, the standard OTEL_*
// variables count. OTEL_SDK_DISABLED=true wins over all of it.
type TraceOptions struct {
	Endpoint    string            // the collector's URL, such as http://localhost:4317
	Protocol    string            // grpc or http/protobuf; empty and no variable: grpc
	Headers     map[string]string // for the collector; they may hold a key, and are never shown
	SampleRatio float64           // of the calls without a parent; negative: as OTEL_TRACES_SAMPLER says
	Prompts     bool              // put prompts and answers into spans
	Version     string            // Tollgate's

	// Address gives the host and port of an upstream, by its name. Nil, or an empty host: left out.
	Address func(upstream string) (host string, port int)

	Lost   func(spans int) // told of each loss; may be nil
	Failed func(err error) // told when exports begin to fail, not each time; may be nil
}

// Tracer makes spans and sends them in batches. It never blocks: where the collector is slow or away,
// spans are dropped and counted. Safe for use by many goroutines.
type Tracer struct {
	provider *sdktrace.TracerProvider
	queue    *queue
	tracer   trace.Tracer
	prompts  bool
	address  func(upstream string) (string, int)
	now      func() time.Time
}

// NewTracer returns a tracer. It does not wait for the collector, which may come later.
func NewTracer(ctx context.Context, options TraceOptions) (*Tracer, error) {
	exporter, err := newExporter(ctx, &options)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("tollgate"), semconv.ServiceVersion(options.Version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	queue := newQueue(exporter, &options)
	provider := sdktrace.NewTracerProvider(append(sampler(options.SampleRatio),
		sdktrace.WithResource(about), sdktrace.WithSpanProcessor(queue))...)
	return &Tracer{
		provider: provider,
		queue:    queue,
		tracer:   provider.Tracer("tollgate", trace.WithInstrumentationVersion(options.Version)),
		prompts:  options.Prompts,
		address:  options.Address,
		now:      time.Now,
	}, nil
}

// sampler obeys the client: what it traces is traced, what it does not is not.
func sampler(ratio float64) []sdktrace.TracerProviderOption {
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"):
		return []sdktrace.TracerProviderOption{sdktrace.WithSampler(sdktrace.NeverSample())}
	case ratio < 0:
		return nil // the SDK reads the variables
	default:
		byRatio := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
		return []sdktrace.TracerProviderOption{sdktrace.WithSampler(byRatio)}
	}
}

// Shutdown sends what is left, as long as ctx lasts. What it could not send counts as lost.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// Lost tells how many spans did not reach the collector.
func (t *Tracer) Lost() int64 { return t.queue.lost.Load() }

// Begin starts a call's span, as a child of the client's where it sent a valid traceparent.
// Done of the span must follow.
func (t *Tracer) Begin(call *exchange.Call) *Span {
	parent := context.Background()
	if call.Parent != "" {
		parent = propagation.TraceContext{}.Extract(parent, propagation.MapCarrier{"traceparent": call.Parent})
	}
	api := openai.APIOf(call.Path)
	_, span := t.tracer.Start(parent, name(api, "", call),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(call.Began))
	s := &Span{tracer: t, call: call, span: span, api: api}
	if span.IsRecording() {
		span.SetAttributes(t.about(call)...)
		s.setAPI(api)
	}
	return s
}

// about is what is known of a call before it is asked.
func (t *Tracer) about(call *exchange.Call) []attribute.KeyValue {
	as := []attribute.KeyValue{
		attribute.String("tollgate.call", call.ID),
		attribute.String("tollgate.route", valid(call.Route)),
	}
	if call.Client != "" {
		as = append(as, attribute.String("tollgate.client", valid(call.Client)))
	}
	return append(as, t.upstream(call.Upstream)...)
}

// upstream is what is known of an upstream; nothing of none.
func (t *Tracer) upstream(name string) []attribute.KeyValue {
	if name == "" {
		return nil
	}
	as := []attribute.KeyValue{attribute.String("tollgate.upstream", valid(name))}
	if t.address == nil {
		return as
	}
	if host, port := t.address(name); host != "" {
		as = append(as, semconv.ServerAddress(host), semconv.ServerPort(port))
	}
	return as
}
