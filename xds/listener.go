package xds

import (
	"net/netip"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	connectionlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	requestidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

const managerFilter = "envoy.filters.network.http_connection_manager"

// listener is the port that clients connect to.
func listener(c *config.Config, secured *tlsv3.DownstreamTlsContext, tracing *hcmv3.HttpConnectionManager_Tracing) *listenerv3.Listener {
	l := &c.Listener
	chain := &listenerv3.FilterChain{Filters: append(connectionLimit(l), networkFilter(managerFilter, clientManager(c, tracing)))}
	if secured != nil {
		chain.TransportSocket = &corev3.TransportSocket{
			Name:       "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(secured)},
		}
		// A client that connects and says nothing must not stay.
		chain.TransportSocketConnectTimeout = durationpb.New(10 * time.Second)
	}
	return &listenerv3.Listener{
		Name:                          ListenerName,
		Address:                       socketAddress(l.Address.Addr().String(), l.Address.Port()),
		FilterChains:                  []*listenerv3.FilterChain{chain},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
	}
}

// clientManager is how Envoy speaks HTTP with clients, and what it does with their requests.
func clientManager(c *config.Config, tracing *hcmv3.HttpConnectionManager_Tracing) *hcmv3.HttpConnectionManager {
	l, manager := &c.Listener, connectionManager(&c.Listener)
	manager.HttpFilters = httpFilters(l, bodyLimits(c))
	// What is said on a WebSocket is no body, and has no bound.
	manager.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket", Filters: httpFilters(l, nil)}}
	manager.RequestTimeout = durationpb.New(l.RequestTimeout)
	if tracing != nil {
		manager.Tracing = tracing
		manager.RequestIdExtension = noRequestID()
	}
	return manager
}

func networkFilter(name string, settings proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(settings)}}
}

// connectionLimit closes connections that are too many, before a byte of them is read.
func connectionLimit(l *config.Listener) []*listenerv3.Filter {
	if l.MaxConnections == 0 {
		return nil
	}
	return []*listenerv3.Filter{networkFilter("envoy.filters.network.connection_limit", &connectionlimitv3.ConnectionLimit{
		StatPrefix:     ListenerName,
		MaxConnections: wrapperspb.UInt64(uint64(l.MaxConnections)),
	})}
}

// connectionManager is how Envoy speaks HTTP with clients, after its guide for edge proxies, except
// where streams of hours and uploads of any size must pass.
func connectionManager(l *config.Listener) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:     ListenerName,
		CodecType:      hcmv3.HttpConnectionManager_AUTO,
		RouteSpecifier: routesByADS(RouteName),
		HttpProtocolOptions: &corev3.Http1ProtocolOptions{
			EnableTrailers:        true,
			AcceptHttp_10:         true,
			DefaultHostForHttp_10: "localhost",
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			// As in upstreamConnectionWindow: uploads that stand still do not hold up what shares their connection,
			// such as other people's requests where a proxy gathers them.
			MaxConcurrentStreams:        wrapperspb.UInt32(1000),
			InitialStreamWindowSize:     wrapperspb.UInt32(512 << 10),
			InitialConnectionWindowSize: wrapperspb.UInt32(1200 << 20),
			AllowConnect:                true, // WebSockets over HTTP/2, RFC 8441
		},
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  durationpb.New(time.Hour),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST, // api_key is not api-key
		},

		// Time. Headers must come at once; bodies and answers take as long as something moves.
		RequestHeadersTimeout: durationpb.New(10 * time.Second),
		StreamIdleTimeout:     durationpb.New(l.IdleTimeout),

		// Who calls: the connection's address, or the one that the operator's own proxies report.
		UseRemoteAddress:              wrapperspb.Bool(true),
		XffNumTrustedHops:             l.TrustedHops,
		SkipXffAppend:                 true,
		EarlyHeaderMutationExtensions: []*corev3.TypedExtensionConfig{noSteering()},

		// One path, one route: what is not normal is made so before it is matched. An escaped slash
		// stays: model names hold them (org%2Fmodel), and prefixes never do.
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,

		// Nothing of Envoy's own shows: no server header, no request id, no via.
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		GenerateRequestId:          wrapperspb.Bool(false),
		PreserveExternalRequestId:  true,
		LocalReplyConfig:           localReplies(),
		AccessLog:                  accessLogs(l),
	}
}

func routesByADS(name string) *hcmv3.HttpConnectionManager_Rds {
	return &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: name, ConfigSource: byADS()}}
}

// noRequestID samples spans without x-request-id, which is the client's and the upstream's here.
func noRequestID() *hcmv3.RequestIDExtension {
	return &hcmv3.RequestIDExtension{TypedConfig: anyOf(&requestidv3.UuidRequestIdConfig{
		PackTraceReason:              wrapperspb.Bool(false),
		UseRequestIdForTraceSampling: wrapperspb.Bool(false),
	})}
}

// noSteering takes away the headers that steer Envoy, before Envoy reads them: retries, timeouts and
// the like are not the client's to choose.
func noSteering() *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{
		Name: "envoy.http.early_header_mutation.header_mutation",
		TypedConfig: anyOf(&headermutationv3.HeaderMutation{Mutations: []*mutationv3.HeaderMutation{{
			Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
				KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-envoy-"}},
			}},
		}}}),
	}
}

// downstreamTLS offers HTTP/2 and HTTP/1.1 with the operator's certificate.
func downstreamTLS() *tlsv3.DownstreamTlsContext {
	return &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		AlpnProtocols:                  []string{"h2", "http/1.1"},
		TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{sdsSecret(listenerCertificate)},
	}}
}

// ReadyURL is where a process on Envoy's own machine can ask whether the port answers.
func ReadyURL(l *config.Listener) string {
	host, scheme := l.Address.Addr(), "http://"
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if l.Address.Addr().Is6() {
			host = netip.IPv6Loopback()
		}
	}
	if l.TLS != nil {
		scheme = "https://"
	}
	return scheme + hostPort(host.String(), l.Address.Port()) + HealthPath
}
