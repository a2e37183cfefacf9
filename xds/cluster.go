package xds

import (
	"cmp"
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	proxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/http_11_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

const (
	// unlimited stands in circuit breakers where nothing else is said: their defaults (1,024) would refuse the 1,025th stream.
	unlimited = 1 << 30

	// upstreamIdle ends idle connections before most servers and load balancers do (60 s is
	// common), so that a request is not sent on a connection that is just being closed.
	upstreamIdle = 50 * time.Second

	// bufferLimit bounds what Envoy holds of one stream, on either side, that flows faster in than out.
	bufferLimit = 256 << 10

	// retryLimit bounds what it holds of a request's body, so that it can be sent again.
	retryLimit = 1 << 20

	// Of HTTP/2 a connection's window must be more than twice as large as those of all its streams together: what
	// is read slowly stands in it, and Envoy opens it again only when half of it has been read. Else those who
	// read slowly would keep all others waiting for good.
	upstreamStreams          = 100
	upstreamStreamWindow     = 512 << 10
	upstreamConnectionWindow = 128 << 20
)

// protocol is how an upstream is spoken to.
type protocol int

const (
	http1  protocol = iota // what every server knows, and WebSockets need
	byALPN                 // HTTP/2 where the server offers it by TLS's ALPN, else HTTP/1.1
	http2                  // HTTP/2 without asking, for gRPC
)

// purpose is what an upstream's cluster is for.
type purpose int

const (
	direct purpose = iota // requests go there as they are
	keyed                 // they may be tried again with another of its keys
	member                // it is one of several: see chain
)

// cluster is where an upstream is and how to speak to it.
func cluster(u *config.Upstream, by trust, speak protocol, use purpose) *clusterv3.Cluster {
	protocol := httpProtocol(u, speak)
	if use == keyed {
		protocol.HttpFilters = keyFilters(u)
	}
	c := &clusterv3.Cluster{
		LbPolicy:                      clusterv3.Cluster_ROUND_ROBIN,
		ConnectTimeout:                durationpb.New(u.ConnectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		CircuitBreakers:               breakers(u),
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{
			// Streams that are silent for minutes must not be forgotten by a NAT on the way.
			TcpKeepalive: &corev3.TcpKeepalive{
				KeepaliveTime:     wrapperspb.UInt32(60),
				KeepaliveInterval: wrapperspb.UInt32(15),
				KeepaliveProbes:   wrapperspb.UInt32(4),
			},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": anyOf(protocol),
		},
	}
	if use == member {
		c.OutlierDetection, c.HealthChecks = ejection(), healthChecks(u)
	}
	if u.TLS {
		c.TransportSocket = &corev3.TransportSocket{
			Name:       "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(upstreamTLS(u, by, speak))},
		}
	}
	if u.Proxy.IsValid() && u.TLS {
		c.TransportSocket = throughProxy(u.Proxy, c.GetTransportSocket())
	}
	if _, err := netip.ParseAddr(u.Host); err == nil || u.Proxy.IsValid() {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: byADS()}
		c.Name = nameOf(u.Name, c, endpoints("", u, use))
		return c
	}
	c.ClusterDiscoveryType = byDNS()
	c.LoadAssignment = endpoints(u.Name, u, use)
	c.Name = nameOf(u.Name, c)
	return c
}

// breakers bound what an upstream gets at once.
func breakers(u *config.Upstream) *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     wrapperspb.UInt32(cmp.Or(u.MaxConnections, unlimited)),
		MaxPendingRequests: wrapperspb.UInt32(cmp.Or(u.MaxPending, unlimited)),
		MaxRequests:        wrapperspb.UInt32(cmp.Or(u.MaxRequests, unlimited)),
		RetryBudget:        retryBudget(),
	}}}
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

// endpoints is where the upstream listens: for an upstream behind a proxy, the proxy, which looks
// the name up itself.
func endpoints(cluster string, u *config.Upstream, use purpose) *endpointv3.ClusterLoadAssignment {
	endpoint := &endpointv3.Endpoint{Address: socketAddress(u.Host, u.Port)}
	switch {
	case u.Proxy.IsValid() && u.TLS:
		// Envoy asks the proxy (see throughProxy) for this name and this port; the address is not used.
		endpoint.Hostname = u.Host
		endpoint.Address = socketAddress(u.Proxy.Addr().String(), u.Port)
	case u.Proxy.IsValid():
		endpoint.Address = socketAddress(u.Proxy.Addr().String(), u.Proxy.Port())
	}
	host := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: endpoint}}
	if use == member {
		host.Metadata = isUpstream(u.Name)
	}
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints:   []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{host}}},
	}
}

// httpProtocol says in Envoy's terms how to speak.
func httpProtocol(u *config.Upstream, speak protocol) *httpv3.HttpProtocolOptions {
	old := &corev3.Http1ProtocolOptions{
		EnableTrailers:        true,
		SendFullyQualifiedUrl: u.Proxy.IsValid() && !u.TLS, // what a proxy expects, RFC 9112 3.2.2
	}
	modern := &corev3.Http2ProtocolOptions{
		ConnectionKeepalive: &corev3.KeepaliveSettings{
			Interval: durationpb.New(30 * time.Second),
			Timeout:  durationpb.New(10 * time.Second),
		},
		MaxConcurrentStreams:        wrapperspb.UInt32(upstreamStreams),
		InitialStreamWindowSize:     wrapperspb.UInt32(upstreamStreamWindow),
		InitialConnectionWindowSize: wrapperspb.UInt32(upstreamConnectionWindow),
	}
	options := &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(upstreamIdle)},
	}
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{}
	switch speak {
	case byALPN:
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_AutoConfig{
			AutoConfig: &httpv3.HttpProtocolOptions_AutoHttpConfig{HttpProtocolOptions: old, Http2ProtocolOptions: modern},
		}
		return options
	case http1:
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: old}
	case http2:
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: modern}
	}
	options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit}
	return options
}

// throughProxy asks an HTTP proxy for the connection (CONNECT, RFC 9110), inside which TLS begins.
func throughProxy(proxy netip.AddrPort, inside *corev3.TransportSocket) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.http_11_proxy",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(&proxyv3.Http11ProxyUpstreamTransport{
			TransportSocket:     inside,
			DefaultProxyAddress: socketAddress(proxy.Addr().String(), proxy.Port()),
		})},
	}
}

// upstreamTLS checks the upstream's certificate against its authorities and its name, and shows one where it
// is asked for.
func upstreamTLS(u *config.Upstream, by trust, speak protocol) *tlsv3.UpstreamTlsContext {
	name := &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: u.ServerName}},
	}
	sni := u.ServerName
	if _, err := netip.ParseAddr(u.ServerName); err == nil {
		name.SanType, sni = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "" // RFC 6066: no literal addresses in SNI
	}
	protocols := map[protocol][]string{http1: {"http/1.1"}, byALPN: {"h2", "http/1.1"}, http2: {"h2"}}[speak]
	context := &tlsv3.UpstreamTlsContext{
		Sni: sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			AlpnProtocols: protocols,
			TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tlsv3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{name},
					},
					ValidationContextSdsSecretConfig: sdsSecret(by.authorities),
				},
			},
		},
	}
	if by.certificate != "" {
		context.CommonTlsContext.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{sdsSecret(by.certificate)}
	}
	return context
}
