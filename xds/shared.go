package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	headertometadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
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
	manager.HttpFilters = []*hcmv3.HttpFilter{
		// What attempts must know: see handOver in package extproc.
		httpFilter("envoy.filters.http.header_to_metadata", toldInHeaders(config.SaidRouteKey, config.KeyKey, config.IntoKey, config.LeadKey)),
		router(),
	}
	manager.AccessLog = []*accesslogv3.AccessLog{failureLog(keyTurnedDown())}
	manager.DelayedCloseTimeout = durationpb.New(0) // an answer that breaks off must be seen to at once
	return &listenerv3.Listener{
		Name: SharedName,
		Address: &corev3.Address{Address: &corev3.Address_Pipe{
			Pipe: &corev3.Pipe{Path: path, Mode: 0o600},
		}},
		FilterChains:                  []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{networkFilter(managerFilter, manager)}}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
	}
}

// toldInHeaders makes metadata of what the gate says in headers of shared calls.
func toldInHeaders(keys ...string) *headertometadatav3.Config {
	told := &headertometadatav3.Config{}
	for _, key := range keys {
		told.RequestRules = append(told.RequestRules, &headertometadatav3.Config_Rule{
			Header: config.ToldHeader + key,
			OnHeaderPresent: &headertometadatav3.Config_KeyValuePair{
				MetadataNamespace: config.MetadataNamespace, Key: key, Type: headertometadatav3.Config_STRING,
			},
			Remove: true,
		})
	}
	return told
}

// sharedRoutes lead where the same routes for clients lead, by the name of the route that the gate gives.
// A name that is not known is told from an upstream's answer by its header.
func sharedRoutes(sites []*site) *routev3.RouteConfiguration {
	var routes []*routev3.Route
	for _, s := range sites {
		if !sharesCalls(s.route) {
			continue
		}
		for i := range s.leads {
			routes = append(routes, s.sharedRoutesOf(&s.leads[i])...)
		}
	}
	unknown := answer("nowhere", match("/"), 404)
	unknown.TypedPerFilterConfig = nil
	unknown.ResponseHeadersToAdd = []*corev3.HeaderValueOption{header(config.NowhereHeader, "true")}
	return &routev3.RouteConfiguration{
		Name:                   SharedName,
		VirtualHosts:           []*routev3.VirtualHost{{Name: SharedName, Domains: []string{"*"}, Routes: append(routes, unknown)}},
		ValidateClusters:       wrapperspb.Bool(true),
		RequestHeadersToRemove: []string{config.RouteHeader, config.ToldHeader + config.OwnKey, "x-forwarded-proto", "x-forwarded-for"},
	}
}

// sharedRoutesOf are the same routes for calls that have passed the gate.
func (s *site) sharedRoutesOf(l *lead) []*routev3.Route {
	r := s.forward(l, l.http, false, false)
	r.Match.Headers = []*routev3.HeaderMatcher{headerMatches(config.RouteHeader, exactly(s.name))}
	r.TypedPerFilterConfig, r.ResponseHeadersToAdd = s.attemptsOf(l, true), nil
	if l.id != "" {
		r.Match.Headers = append(r.Match.Headers, headerMatches(config.ToldHeader+config.LeadKey, exactly(l.id)))
	}
	if l.own.http == "" {
		return []*routev3.Route{r}
	}
	own, _ := proto.Clone(r).(*routev3.Route)
	own.Match.Headers = append(own.Match.Headers, headerMatches(config.ToldHeader+config.OwnKey, exactly("1")))
	own.GetRoute().ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: l.own.http}
	own.GetRoute().RetryPolicy = retryPolicy(&s.route.Retry, &lead{})
	return []*routev3.Route{own, r}
}
