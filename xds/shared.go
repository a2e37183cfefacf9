package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// sharesCalls tells whether equal requests of a route share a call.
func sharesCalls(route *config.Route) bool { return route.Cache != nil && route.Cache.Collapse }

// sharedListener takes the calls that Tollgate makes for several requests: on a Unix socket for its own
// user alone, since what comes here has passed the gate.
func sharedListener(l *config.Listener, path string) *listenerv3.Listener {
	manager := connectionManager(l)
	manager.StatPrefix = SharedName
	manager.RouteSpecifier = routesByADS(SharedName)
	manager.HttpFilters = []*hcmv3.HttpFilter{router()}
	manager.AccessLog = nil
	manager.DelayedCloseTimeout = durationpb.New(0) // an answer that breaks off must be seen to at once
	return &listenerv3.Listener{
		Name: SharedName,
		Address: &corev3.Address{Address: &corev3.Address_Pipe{
			Pipe: &corev3.Pipe{Path: path, Mode: 0o600},
		}},
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       managerFilter,
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(manager)},
		}}}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
	}
}

// sharedRoutes lead where the same routes for clients lead, by the name of the route that the gate gives.
// A name that is not known is told from an upstream's answer by its header.
func sharedRoutes(c *config.Config, clusters map[*config.Upstream]upstreamClusters) *routev3.RouteConfiguration {
	var routes []*routev3.Route
	for _, route := range c.Routes {
		if !sharesCalls(route) {
			continue
		}
		r := forward(route, clusters[route.Upstream].http, false, false)
		r.Match.Headers = []*routev3.HeaderMatcher{headerMatches(config.RouteHeader, exactly(route.ID))}
		r.TypedPerFilterConfig, r.ResponseHeadersToAdd = nil, nil
		routes = append(routes, r)
	}
	unknown := answer("nowhere", match("/"), 404)
	unknown.TypedPerFilterConfig = nil
	unknown.ResponseHeadersToAdd = []*corev3.HeaderValueOption{header(config.NowhereHeader, "true")}
	return &routev3.RouteConfiguration{
		Name:                   SharedName,
		VirtualHosts:           []*routev3.VirtualHost{{Name: SharedName, Domains: []string{"*"}, Routes: append(routes, unknown)}},
		ValidateClusters:       wrapperspb.Bool(true),
		RequestHeadersToRemove: []string{config.RouteHeader, "x-forwarded-proto", "x-forwarded-for"},
	}
}
