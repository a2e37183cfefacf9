package xds

import (
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

const (
	// unlimited stands in circuit breakers, whose defaults (1,024) would refuse the 1,025th stream.
	unlimited = 1 << 30

	// upstreamIdle ends idle connections before most servers and load balancers do (60 s is
	// common), so that a request is not sent on a connection that is just being closed.
	upstreamIdle = 50 * time.Second

	// bufferLimit bounds what Envoy holds of one stream that flows faster in than out.
	bufferLimit = 1 << 20
)

// cluster is the upstream for requests that may go by HTTP/2, where http2, else by HTTP/1.1.
func cluster(u *config.Upstream, authorities string, http2 bool) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		LbPolicy:                      clusterv3.Cluster_ROUND_ROBIN,
		ConnectTimeout:                durationpb.New(u.ConnectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections:     wrapperspb.UInt32(unlimited),
			MaxPendingRequests: wrapperspb.UInt32(unlimited),
			MaxRequests:        wrapperspb.UInt32(unlimited),
		}}},
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{
			// Streams that are silent for minutes must not be forgotten by a NAT on the way.
			TcpKeepalive: &corev3.TcpKeepalive{
				KeepaliveTime:     wrapperspb.UInt32(60),
				KeepaliveInterval: wrapperspb.UInt32(15),
				KeepaliveProbes:   wrapperspb.UInt32(4),
			},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": anyOf(httpProtocol(http2)),
		},
	}
	if u.TLS {
		c.TransportSocket = &corev3.TransportSocket{
			Name:       "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(upstreamTLS(u, authorities, http2))},
		}
	}
	if _, err := netip.ParseAddr(u.Host); err == nil {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: byADS()}
		c.Name = nameOf(u.Name, c, endpoints("", u))
		return c
	}
	c.ClusterDiscoveryType = byDNS()
	c.LoadAssignment = endpoints(u.Name, u)
	c.Name = nameOf(u.Name, c)
	return c
}

// byDNS resolves the upstream's name as clients do: whatever the name server says now, both address
// families, the first that connects.
func byDNS() *clusterv3.Cluster_ClusterType {
	return &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.dns",
		TypedConfig: anyOf(&dnsv3.DnsCluster{
			DnsRefreshRate:               durationpb.New(30 * time.Second),
			RespectDnsTtl:                true,
			DnsLookupFamily:              commondnsv3.DnsLookupFamily_ALL,
			AllAddressesInSingleEndpoint: true,
		}),
	}}
}

// endpoints is where the upstream listens.
func endpoints(cluster string, u *config.Upstream) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
					Address: socketAddress(u.Host, u.Port),
				}},
			}},
		}},
	}
}

// httpProtocol chooses by ALPN where http2, with HTTP/1.1 for servers that know nothing else.
func httpProtocol(http2 bool) *httpv3.HttpProtocolOptions {
	http1 := &corev3.Http1ProtocolOptions{EnableTrailers: true}
	options := &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(upstreamIdle)},
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: http1},
			},
		},
	}
	if http2 {
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_AutoConfig{
			AutoConfig: &httpv3.HttpProtocolOptions_AutoHttpConfig{
				HttpProtocolOptions: http1,
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					ConnectionKeepalive: &corev3.KeepaliveSettings{
						Interval: durationpb.New(30 * time.Second),
						Timeout:  durationpb.New(10 * time.Second),
					},
				},
			},
		}
	}
	return options
}

// upstreamTLS checks the upstream's certificate against its authorities and its name.
func upstreamTLS(u *config.Upstream, authorities string, http2 bool) *tlsv3.UpstreamTlsContext {
	name := &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: u.ServerName}},
	}
	sni := u.ServerName
	if _, err := netip.ParseAddr(u.ServerName); err == nil {
		name.SanType, sni = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "" // RFC 6066: no literal addresses in SNI
	}
	protocols := []string{"http/1.1"}
	if http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	return &tlsv3.UpstreamTlsContext{
		Sni: sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			AlpnProtocols: protocols,
			TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tlsv3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{name},
					},
					ValidationContextSdsSecretConfig: sdsSecret(authorities),
				},
			},
		},
	}
}
