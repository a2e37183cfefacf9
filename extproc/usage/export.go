package usage

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// newExporter makes the client of the collector. It does not connect yet.
func newExporter(ctx context.Context, options *TraceOptions) (sdktrace.SpanExporter, error) {
	if err := checkEndpoint(options.Endpoint); err != nil {
		return nil, err
	}
	protocol := cmp.Or(options.Protocol, os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
		os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "grpc")
	var (
		exporter *otlptrace.Exporter
		err      error
	)
	switch protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx, grpcOptions(options)...)
	case "http/protobuf":
		exporter, err = otlptracehttp.New(ctx, httpOptions(options)...)
	default:
		return nil, fmt.Errorf("traces: protocol %q is neither grpc nor http/protobuf", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("traces by %s: %w", protocol, err)
	}
	return exporter, nil
}

// checkEndpoint is here because the exporters take a bad URL in silence, and send to localhost.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("traces: endpoint %q is not a URL such as http://localhost:4317", endpoint)
	}
	return nil
}

func grpcOptions(options *TraceOptions) []otlptracegrpc.Option {
	var as []otlptracegrpc.Option
	if options.Endpoint != "" {
		as = append(as, otlptracegrpc.WithEndpointURL(options.Endpoint))
	}
	if len(options.Headers) > 0 {
		as = append(as, otlptracegrpc.WithHeaders(options.Headers))
	}
	return as
}

func httpOptions(options *TraceOptions) []otlptracehttp.Option {
	var as []otlptracehttp.Option
	if options.Endpoint != "" {
		as = append(as, otlptracehttp.WithEndpointURL(tracesURL(options.Endpoint)))
	}
	if len(options.Headers) > 0 {
		as = append(as, otlptracehttp.WithHeaders(options.Headers))
	}
	return as
}

// tracesURL puts OTLP's path behind a collector's URL, as OTEL_EXPORTER_OTLP_ENDPOINT means it.
func tracesURL(endpoint string) string {
	const path = "/v1/traces"
	endpoint = strings.TrimRight(endpoint, "/")
	if strings.HasSuffix(endpoint, path) {
		return endpoint
	}
	return endpoint + path
}
