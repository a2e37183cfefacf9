package xds

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

// HealthPath answers 200 on the clients' port, to everyone.
const HealthPath = "/healthz"

// routeConfiguration is where each path leads: /healthz, then the routes, the longest prefix first,
// then nowhere.
func routeConfiguration(c *config.Config, sites []*site) *routev3.RouteConfiguration {
	routes := []*routev3.Route{health()}
	for _, s := range sites {
		routes = append(routes, s.routes(&c.Listener)...)
	}
	if len(c.Routes) == 0 || c.Routes[len(c.Routes)-1].Prefix != "/" {
		routes = append(routes, nowhere())
	}
	host := &routev3.VirtualHost{Name: RouteName, Domains: []string{"*"}, Routes: routes}
	if c.Listener.CORS {
		host.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: anyOf(cors(c.Listener.AllowOrigins))}
	}
	return &routev3.RouteConfiguration{
		Name:             RouteName,
		VirtualHosts:     []*routev3.VirtualHost{host},
		ValidateClusters: wrapperspb.Bool(true), // a route to nowhere is a NACK, not a 503

		ResponseHeadersToAdd:            alternative(&c.Listener),
		RequestHeadersToRemove:          config.HopHeaders(),
		MostSpecificHeaderMutationsWins: true, // clientAddress adds what this takes away
	}
}

// routesOf are Envoy's routes for a lead: WebSockets apart where the upstream may not know them by HTTP/2 or the
// gate would wait for their end, and what has no body to read apart from what has.
func (s *site) routesOf(l *lead) []*routev3.Route {
	route, needs := s.route, s.route.Needs()
	var routes []*routev3.Route
	if l.webSocket != l.http || needs.Request != config.NoBody || needs.Response != config.NoBody {
		routes = append(routes, l.variants(s.webSocketRoute(l), route, l.own.webSocket, false)...)
	}
	if needs.Request == config.AskedFor || needs.Response == config.AskedFor {
		routes = append(routes, l.variants(s.askedRoute(l), route, l.own.http, needs.Request != config.NoBody)...)
	}
	rest := s.forward(l, l.http, needs.Request == config.AnyBody, needs.Response == config.AnyBody)
	return append(routes, l.variants(rest, route, l.own.http, needs.Request == config.AnyBody)...)
}

// variants puts before a route those that Envoy takes instead, when it chooses anew because the gate said
// so: without retries where the gate may have read the body (see config.OnceKey), and to a cluster of its
// own for requests with their client's own key (see config.OwnKey). Where the lead itself is one that the
// gate must name, all are such.
func (l *lead) variants(of *routev3.Route, route *config.Route, own string, body bool) []*routev3.Route {
	if l.id != "" {
		of = variant(of, config.LeadKey, l.id)
	}
	var routes []*routev3.Route
	if body && route.Retry.Attempts > 1 {
		once := variant(of, config.OnceKey, "1")
		single := route.Retry
		single.Attempts = 1
		once.GetRoute().RetryPolicy = retryPolicy(&single, l)
		routes = append(routes, once)
	}
	if own != "" {
		v := variant(of, config.OwnKey, "1")
		v.GetRoute().ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: own}
		v.GetRoute().RetryPolicy = retryPolicy(&route.Retry, &lead{})
		routes = append(routes, v)
	}
	return append(routes, of)
}

func variant(of *routev3.Route, key, said string) *routev3.Route {
	v, _ := proto.Clone(of).(*routev3.Route)
	v.Match.DynamicMetadata = append(v.Match.DynamicMetadata, isSaid(key, said))
	return v
}

// forward sends what comes in to a cluster of a lead, the request's body and the answer by way of
// the gate if need be.
func (s *site) forward(l *lead, cluster string, request, response bool) *routev3.Route {
	route, base := s.route, l.first.BasePath
	if l.several() {
		base = "" // each attempt has its own
	}
	action := &routev3.RouteAction{
		ClusterSpecifier:     &routev3.RouteAction_Cluster{Cluster: cluster},
		HostRewriteSpecifier: &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: l.first.Authority()},
		RegexRewrite:         rewrite(s.strip, base),
		Timeout:              durationpb.New(0), // an answer takes as long as it moves: see StreamIdleTimeout
		RetryPolicy:          retryPolicy(&route.Retry, l),
	}
	r := &routev3.Route{
		Name:                 s.name,
		Match:                match(s.prefix),
		Action:               &routev3.Route_Route{Route: action},
		TypedPerFilterConfig: s.filtersOf(l, request, response),
	}
	if route.Retry.Attempts > 1 {
		r.RequestBodyBufferLimit = wrapperspb.UInt64(retryLimit)
	}
	r.ResponseHeadersToAdd = headroom(route)
	if route.Cache != nil {
		r.ResponseHeadersToAdd = append(r.ResponseHeadersToAdd, header("cache-status", said(config.CacheStatusKey)))
	}
	if route.ForwardClientAddress {
		r.RequestHeadersToAdd = clientAddress()
	}
	if l.attempts {
		r.ResponseHeadersToRemove = []string{config.WaitHeader}
	}
	return r
}

// askedRoute is the same for requests that the gate reads whole: files that are uploaded elsewhere need
// not pass through it.
func (s *site) askedRoute(l *lead) *routev3.Route {
	needs := s.route.Needs()
	r := s.forward(l, l.http, needs.Request != config.NoBody, needs.Response != config.NoBody)
	r.Match.Headers = []*routev3.HeaderMatcher{headerMatches(":path", &matcherv3.StringMatcher{
		MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: config.AskedPath}},
	})}
	return r
}

// webSocketRoute is the same for WebSockets, which many servers know by HTTP/1.1 only.
func (s *site) webSocketRoute(l *lead) *routev3.Route {
	r := s.forward(l, l.webSocket, false, false)
	r.Match.Headers = []*routev3.HeaderMatcher{
		headerMatches("upgrade", &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "websocket"},
			IgnoreCase:   true,
		}),
		headerMatches(":method", exactly("GET")), // else it is no upgrade, whatever its header says
	}
	return r
}

func headerMatches(name string, value *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value}}
}

// match takes whole segments: /v1 is not the prefix of /v1x.
func match(prefix string) *routev3.RouteMatch {
	if prefix == "/" {
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	}
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}}
}

// rewrite takes off the path what a regular expression matches, puts the base path before what is left, and drops
// a final slash. The query is not touched.
func rewrite(strip, basePath string) *matcherv3.RegexMatchAndSubstitute {
	pattern, substitution := "^"+strip+"/?(.*?)/?$", `/\1`
	if basePath != "" {
		pattern, substitution = "^"+strip+"(/.+?)?/?$", basePath+`\1`
	}
	return &matcherv3.RegexMatchAndSubstitute{
		Pattern:      &matcherv3.RegexMatcher{Regex: pattern},
		Substitution: substitution,
	}
}

// clientAddress is what an upstream may learn of the client, if the route says so.
func clientAddress() []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{
		header("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
		header("x-forwarded-proto", "%REQ(:SCHEME)%"),
	}
}

// limits tells whether there may be limits of requests, or of tokens, on a route.
func limits(route *config.Route, of config.Quantity) bool {
	return route.Guests.Limited && (of == config.OfRequests || route.Guests.Tokens) ||
		slices.ContainsFunc(route.Limits, func(l config.Limit) bool { return l.Of == of })
}

// headroom tells clients, with OpenAI's names, how much of their limits is left: on every answer, also
// those of Envoy and of the gate itself. What the gate did not say is left out.
func headroom(route *config.Route) []*corev3.HeaderValueOption {
	var headers []*corev3.HeaderValueOption
	for _, of := range []config.Quantity{config.OfRequests, config.OfTokens} {
		if !limits(route, of) {
			continue // else Envoy would look for it in vain
		}
		for _, key := range []string{config.LimitKey, config.RemainingKey, config.ResetKey} {
			headers = append(headers, header("x-ratelimit-"+key+string(of), said(key+string(of))))
		}
	}
	return headers
}

// said is what the gate said of a request; nothing where it did not.
func said(key string) string {
	return "%DYNAMIC_METADATA(" + config.MetadataNamespace + ":" + key + ")%"
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// health answers by Envoy alone, in OpenAI-Forward's words.
func health() *routev3.Route {
	r := answer("health", &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: HealthPath}}, 200)
	r.GetDirectResponse().Body = inline(`"OK"`)
	r.ResponseHeadersToAdd = []*corev3.HeaderValueOption{header("content-type", "application/json")}
	return r
}

// nowhere catches what no route takes, so that the gate is not asked about it. localReplies words it.
func nowhere() *routev3.Route { return answer("nowhere", match("/"), 404) }

// answer is a route on which Envoy itself answers everyone.
func answer(name string, match *routev3.RouteMatch, status uint32) *routev3.Route {
	return &routev3.Route{
		Name:                 name,
		Match:                match,
		Action:               &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: status}},
		TypedPerFilterConfig: bypass(),
	}
}

// cors lets browsers call from the given origins, all where none is given. The origin is echoed and
// credentials are allowed, as the original does.
func cors(origins []string) *corsv3.CorsPolicy {
	policy := &corsv3.CorsPolicy{
		AllowMethods:     "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
		AllowHeaders:     "*, authorization, content-type, x-api-key, api-key",
		ExposeHeaders:    "*",
		MaxAge:           "600",
		AllowCredentials: wrapperspb.Bool(len(origins) > 0),
	}
	for _, origin := range slices.Compact(slices.Sorted(slices.Values(origins))) {
		policy.AllowOriginStringMatch = append(policy.AllowOriginStringMatch, exactly(origin))
	}
	if len(origins) == 0 {
		policy.AllowOriginStringMatch = []*matcherv3.StringMatcher{{
			MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: ".*"}},
		}}
	}
	return policy
}

func exactly(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text}}
}
