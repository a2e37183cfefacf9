package xds

import (
	"cmp"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// http3Connections holds where the operator sets no bound: what bounds Envoy's connections as a whole does not count
// these.
const http3Connections = 50_000

// http3Listener is the clients' port again, by QUIC: what is done with requests is the same.
func http3Listener(c *config.Config, secured *tlsv3.DownstreamTlsContext, tracing *hcmv3.HttpConnectionManager_Tracing) *listenerv3.Listener {
	l, manager := c.Listener, clientManager(c, tracing)
	l.MaxConnections = cmp.Or(l.MaxConnections, http3Connections)
	manager.CodecType = hcmv3.HttpConnectionManager_HTTP3
	manager.Http3ProtocolOptions = &corev3.Http3ProtocolOptions{
		// As by HTTP/2, as far as QUIC goes: a connection's window has no more than 24 MiB, the default.
		QuicProtocolOptions: &corev3.QuicProtocolOptions{
			MaxConcurrentStreams:    manager.GetHttp2ProtocolOptions().GetMaxConcurrentStreams(),
			InitialStreamWindowSize: manager.GetHttp2ProtocolOptions().GetInitialStreamWindowSize(),
		},
	}
	secured = proto.CloneOf(secured)
	secured.CommonTlsContext.AlpnProtocols = []string{"h3"}
	address := socketAddress(l.Address.Addr().String(), l.Address.Port())
	address.GetSocketAddress().Protocol = corev3.SocketAddress_UDP
	return &listenerv3.Listener{
		Name:    "clients-http3",
		Address: address,
		UdpListenerConfig: &listenerv3.UdpListenerConfig{
			// The kernel joins packets for Envoy's socket, and Envoy drops joined ones that it does not ask for: an
			// upload of 5 MiB took half a minute.
			DownstreamSocketConfig: &corev3.UdpSocketConfig{PreferGro: wrapperspb.Bool(true)},
			QuicOptions: &listenerv3.QuicProtocolOptions{
				IdleTimeout: durationpb.New(l.IdleTimeout), // a model that thinks sends no packet
			},
		},
		FilterChains: []*listenerv3.FilterChain{{
			Filters: append(connectionLimit(&l), networkFilter(managerFilter, manager)),
			TransportSocket: &corev3.TransportSocket{
				Name: "envoy.transport_sockets.quic",
				ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: anyOf(&quicv3.QuicDownstreamTransport{
					DownstreamTlsContext: secured,
					// What comes before the handshake is over could be sent again by others, and paid for again.
					EnableEarlyData: wrapperspb.Bool(false),
				})},
			},
		}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
	}
}

// alternative tells clients that the same port speaks HTTP/3, in place of what an upstream says of its own.
func alternative(l *config.Listener) []*corev3.HeaderValueOption {
	if !l.HTTP3 {
		return nil
	}
	return []*corev3.HeaderValueOption{header("alt-svc", fmt.Sprintf(`h3=":%d"; ma=86400`, l.Address.Port()))}
}
