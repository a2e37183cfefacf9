package xds

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	samplersv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/samplers/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/config"
)

// tracing has Envoy make a span of each request and send it to the collector, and adds the cluster
// that leads there. The gate learns of Envoy's span by the trace context of its stream, and makes its
// own a child of it.
func (r *Resources) tracing(t *config.Traces, systemCA string) (*hcmv3.HttpConnectionManager_Tracing, error) {
	if t == nil || t.Collector == nil {
		return nil, nil //nolint:nilnil // no tracing is no error
	}
	by, err := r.trust(t.Collector, systemCA)
	if err != nil {
		return nil, err
	}
	collector := &tracev3.OpenTelemetryConfig{ServiceName: "envoy"}
	if t.Protocol == "http/protobuf" {
		collector.HttpService = &corev3.HttpService{HttpUri: &corev3.HttpUri{
			Uri:              t.Collector.URL() + "/v1/traces",
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: r.addCluster(t.Collector, by, http1, direct)},
			Timeout:          durationpb.New(5 * time.Second),
		}}
	} else {
		collector.GrpcService = &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: r.addCluster(t.Collector, by, http2, direct),
				Authority:   t.Collector.Authority(),
			}},
			Timeout: durationpb.New(5 * time.Second),
		}
	}
	collector.Sampler = sampler(t.Sample)
	return &hcmv3.HttpConnectionManager_Tracing{Provider: &tracev3.Tracing_Http{
		Name:       "envoy.tracers.opentelemetry",
		ConfigType: &tracev3.Tracing_Http_TypedConfig{TypedConfig: anyOf(collector)},
	}}, nil
}

// sampler does as the client's trace context says, and without one takes a share of the requests, all
// where it is negative. Envoy's own sampling would need x-request-id, which it does not make here.
func sampler(share float64) *corev3.TypedExtensionConfig {
	const million = 1_000_000
	if share < 0 {
		share = 1
	}
	ratio := &samplersv3.TraceIdRatioBasedSamplerConfig{SamplingPercentage: &typev3.FractionalPercent{
		Numerator:   uint32(share * million),
		Denominator: typev3.FractionalPercent_MILLION,
	}}
	return &corev3.TypedExtensionConfig{
		Name: "envoy.tracers.opentelemetry.samplers.parent_based",
		TypedConfig: anyOf(&samplersv3.ParentBasedSamplerConfig{WrappedSampler: &corev3.TypedExtensionConfig{
			Name:        "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
			TypedConfig: anyOf(ratio),
		}}),
	}
}
