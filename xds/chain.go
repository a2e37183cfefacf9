package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	prioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// chain is a cluster of clusters, one for each upstream: a request goes to the first that is well, and an
// attempt after another to the next (see nextUpstream). Which one it is the attempt filter learns by the
// endpoint's metadata.
func chain(label string, members []string) *clusterv3.Cluster {
	protocol := &httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ // the members' own counts
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
			},
		},
		HttpFilters: chainFilters(),
	}
	c := &clusterv3.Cluster{
		LbPolicy: clusterv3.Cluster_CLUSTER_PROVIDED,
		ClusterDiscoveryType: &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
			Name:        "envoy.clusters.aggregate",
			TypedConfig: anyOf(&aggregatev3.ClusterConfig{Clusters: members}),
		}},
		ConnectTimeout:                durationpb.New(config.DefaultConnectTimeout), // which is not used
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		CircuitBreakers:               breakers(&config.Upstream{}),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": anyOf(protocol),
		},
	}
	c.Name = nameOf(label, c)
	return c
}

// nextUpstream has an attempt after another go to an upstream that was not tried yet, and begin anew when all
// were.
func nextUpstream() *routev3.RetryPolicy_RetryPriority {
	return &routev3.RetryPolicy_RetryPriority{
		Name: "envoy.retry_priorities.previous_priorities",
		ConfigType: &routev3.RetryPolicy_RetryPriority_TypedConfig{
			TypedConfig: anyOf(&prioritiesv3.PreviousPrioritiesConfig{UpdateFrequency: 1}),
		},
	}
}

// ejection passes an upstream over that fails again and again. A 500 is not counted: it may well be the
// request that it does not bear.
func ejection() *clusterv3.OutlierDetection {
	return &clusterv3.OutlierDetection{
		ConsecutiveGatewayFailure:          wrapperspb.UInt32(5),
		EnforcingConsecutiveGatewayFailure: wrapperspb.UInt32(100),
		EnforcingConsecutive_5Xx:           wrapperspb.UInt32(0),
		EnforcingSuccessRate:               wrapperspb.UInt32(0),
		Interval:                           durationpb.New(time.Second),
		BaseEjectionTime:                   durationpb.New(30 * time.Second),
		MaxEjectionTime:                    durationpb.New(5 * time.Minute),
		MaxEjectionPercent:                 wrapperspb.UInt32(100), // an upstream is one host here
	}
}

// healthChecks asks an upstream whether it is well. It has no key to ask with, so that a 401 is a good answer.
func healthChecks(u *config.Upstream) []*corev3.HealthCheck {
	if u.HealthCheck == nil {
		return nil
	}
	check := &corev3.HealthCheck{
		Interval:           durationpb.New(u.HealthCheck.Interval),
		NoTrafficInterval:  durationpb.New(u.HealthCheck.Interval), // else it is asked once a minute before its first request
		Timeout:            durationpb.New(u.HealthCheck.Timeout),
		UnhealthyThreshold: wrapperspb.UInt32(3),
		HealthyThreshold:   wrapperspb.UInt32(1),
		HealthChecker: &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Host:                   u.Authority(),
			Path:                   u.BasePath + u.HealthCheck.Path,
			ExpectedStatuses:       []*typev3.Int64Range{{Start: 200, End: 500}},
			RequestHeadersToRemove: []string{"x-envoy-expected-rq-timeout-ms"},
		}},
	}
	if u.TLS {
		check.TlsOptions = &corev3.HealthCheck_TlsOptions{AlpnProtocols: []string{"http/1.1"}}
	}
	return []*corev3.HealthCheck{check}
}

// isUpstream tells the attempt filter, by the endpoint, which upstream an attempt goes to.
func isUpstream(name string) *corev3.Metadata {
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		config.MetadataNamespace: {Fields: map[string]*structpb.Value{config.UpstreamKey: structpb.NewStringValue(name)}},
	}}
}
