package xds

import (
	"maps"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/config"
)

// gateTimeout bounds how long a request waits for the gate's verdict; then it is refused.
const gateTimeout = 5 * time.Second

// tapCloseTimeout bounds how late the tap learns that a call was cut.
const tapCloseTimeout = time.Second

const (
	corsFilter = "envoy.filters.http.cors"
	gateFilter = "tollgate.gate"
	lockFilter = "tollgate.lock"
	tapFilter  = "tollgate.tap"
)

// httpFilters is the filter chain, in the order in which a request meets it. All stand for every
// route; a route that does not need one says so (see bypass), so that a route that forgets is
// closed, not open.
//
// What bounds bodies comes before all that could hold them.
func httpFilters(l *config.Listener, bodyLimits []*hcmv3.HttpFilter) []*hcmv3.HttpFilter {
	var filters []*hcmv3.HttpFilter
	if l.CORS {
		// First, because a browser's preflight carries no key.
		filters = append(filters, httpFilter(corsFilter, &corsv3.Cors{}))
	}
	filters = append(filters, bodyLimits...)
	return append(filters,
		// Decides whether a request may pass, and gives it the upstream's key. Fails closed.
		httpFilter(gateFilter, gate()),
		// Opens only by the gate's word: a gate that ends without a verdict is no gate passed.
		httpFilter(lockFilter, lock()),
		// Shows request and answer to who counts and records them, as copies. Fails open.
		httpFilter(tapFilter, where(hasCall(), tapFilter, tap())),
		router(),
	)
}

// router sends the request to the upstream.
func router() *hcmv3.HttpFilter {
	return httpFilter("envoy.filters.http.router", &routerv3.Router{SuppressEnvoyHeaders: true})
}

func httpFilter(name string, settings proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{
		Name:       name,
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: anyOf(settings)},
	}
}

// gate asks `tollgate serve` about the request's headers, and nothing more unless a route needs it.
func gate() *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		// Said once, by the filter for all routes: Envoy would make the service anew for each request on a
		// route that says it itself, and attributes and metadata in messages cost more than these.
		GrpcService: toTollgate(GateCluster,
			tells(config.RouteHeader, "%ROUTE_NAME%"),
			tells(config.AddressHeader, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
		),
		FailureModeAllow: false,
		StatusOnError:    &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		MessageTimeout:   durationpb.New(gateTimeout),
		ProcessingMode:   gateMode(false, false),
		// A body goes on as it came; where the gate changes it, it says how long it is then.
		AllowContentLengthHeader: true,
		MetadataOptions:          &extprocv3.MetadataOptions{ReceivingNamespaces: ours()},
		// Envoy chooses the route anew where the gate asks for it: see variant.
		RouteCacheAction: extprocv3.ExternalProcessor_DEFAULT,
	}
}

// gateMode is what the gate sees: the request's headers, its body where that decides, and the answer
// where the gate has a hand in it.
func gateMode(request, response bool) *extprocv3.ProcessingMode {
	mode := &extprocv3.ProcessingMode{
		RequestHeaderMode:   extprocv3.ProcessingMode_SEND,
		RequestBodyMode:     extprocv3.ProcessingMode_NONE,
		RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
		ResponseHeaderMode:  extprocv3.ProcessingMode_SKIP,
		ResponseBodyMode:    extprocv3.ProcessingMode_NONE,
		ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
	}
	if request {
		mode.RequestBodyMode = extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED
		mode.RequestTrailerMode = extprocv3.ProcessingMode_SEND // which that mode demands
	}
	if response {
		mode.ResponseHeaderMode = extprocv3.ProcessingMode_SEND
		mode.ResponseBodyMode = extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED
		mode.ResponseTrailerMode = extprocv3.ProcessingMode_SEND
	}
	return mode
}

// tap sends copies of what streams by. No byte waits for it.
func tap() *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		GrpcService:       toTollgate(GateCluster, tells(config.CallHeader, said(config.CallKey))),
		ObservabilityMode: true,
		FailureModeAllow:  true,
		ProcessingMode:    tapMode(true),
		// No key is among these.
		ForwardRules: &extprocv3.HeaderForwardingRules{AllowedHeaders: &matcherv3.ListStringMatcher{Patterns: []*matcherv3.StringMatcher{
			exactly(":status"), exactly("content-type"), exactly("content-encoding"),
		}}},
		// A client's abort reaches the tap only after this time.
		DeferredCloseTimeout: durationpb.New(tapCloseTimeout),
	}
}

// tapMode is what the tap sees: the answer, and the request's body unless the gate has it.
func tapMode(body bool) *extprocv3.ProcessingMode {
	mode := &extprocv3.ProcessingMode{
		RequestHeaderMode:   extprocv3.ProcessingMode_SEND, // so that the tap comes for its call at once
		RequestBodyMode:     extprocv3.ProcessingMode_NONE,
		RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
		ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
		ResponseBodyMode:    extprocv3.ProcessingMode_STREAMED,
		ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
	}
	if body {
		mode.RequestBodyMode = extprocv3.ProcessingMode_STREAMED
	}
	return mode
}

// toTollgate opens streams to `tollgate serve` that begin with what is told, and with no more: whatever else Envoy
// says of itself is read for each stream, and kept for as long as it is open.
func toTollgate(cluster string, told ...*corev3.HeaderValue) *corev3.GrpcService {
	return &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster, SkipEnvoyHeaders: true}},
		InitialMetadata: told,
	}
}

func tells(name, value string) *corev3.HeaderValue {
	return &corev3.HeaderValue{Key: name, Value: value}
}

// lock demands the gate's word, and whatever else.
func lock(more ...*rbacconfigv3.Permission) *rbacv3.RBAC {
	word := isPermitted(verdict(config.VerdictPass))
	if len(more) > 0 {
		word = &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_AndRules{
			AndRules: &rbacconfigv3.Permission_Set{Rules: append([]*rbacconfigv3.Permission{word}, more...)},
		}}
	}
	return &rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{
		Action: rbacconfigv3.RBAC_ALLOW,
		Policies: map[string]*rbacconfigv3.Policy{"passed-the-gate": {
			Permissions: []*rbacconfigv3.Permission{word},
			Principals:  []*rbacconfigv3.Principal{{Identifier: &rbacconfigv3.Principal_Any{Any: true}}},
		}},
	}}
}

func isPermitted(said *matcherv3.MetadataMatcher) *rbacconfigv3.Permission {
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_SourcedMetadata{
		SourcedMetadata: &rbacconfigv3.SourcedMetadata{MetadataMatcher: said},
	}}
}

// isNamed demands that the gate has named this lead, or none where this is the one without a name: its key
// must not go where it was not meant to, should Envoy not have chosen the route anew.
func (l *lead) isNamed() *rbacconfigv3.Permission {
	if l.id != "" {
		return isPermitted(isSaid(config.LeadKey, l.id))
	}
	named := isSaid(config.LeadKey, "")
	named.Value = &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true}}
	return &rbacconfigv3.Permission{Rule: &rbacconfigv3.Permission_NotRule{NotRule: isPermitted(named)}}
}

// verdict matches the gate's verdict.
func verdict(value string) *matcherv3.MetadataMatcher { return isSaid(config.VerdictKey, value) }

// isSaid matches what the gate said.
func isSaid(key, value string) *matcherv3.MetadataMatcher {
	return &matcherv3.MetadataMatcher{
		Filter: config.MetadataNamespace,
		Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: key}}},
		Value: &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{
			StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value}},
		}},
	}
}

// filtersOf says which filters a request goes through, and whether the gate gets the request's body and the
// answer.
func (s *site) filtersOf(l *lead, request, response bool) map[string]*anypb.Any {
	needs := s.route.Needs()
	if !needs.Gate {
		return bypass()
	}
	filters := map[string]*anypb.Any{}
	if request || response {
		filters[gateFilter] = override(&extprocv3.ExtProcOverrides{ProcessingMode: gateMode(request, response)})
	}
	if len(s.route.Choices) > 1 || l.several() {
		filters[lockFilter] = anyOf(&rbacv3.RBACPerRoute{Rbac: lock(l.isNamed())})
	}
	maps.Copy(filters, s.attemptsOf(l, request))
	if !needs.Tap {
		filters[tapFilter] = off()
	} else if onTap := tapOn(needs, l); onTap != nil {
		filters[tapFilter] = override(onTap)
	}
	return filters
}

// tapOn is what the tap does otherwise on a route; nil: nothing. Which upstream and which key an answer came
// from is known with the answer only.
func tapOn(needs config.Needs, l *lead) *extprocv3.ExtProcOverrides {
	overrides := &extprocv3.ExtProcOverrides{}
	if needs.Request != config.NoBody {
		overrides.ProcessingMode = tapMode(false)
	}
	if l.attempts {
		overrides.MetadataOptions = &extprocv3.MetadataOptions{ForwardingNamespaces: ours()}
	}
	if proto.Size(overrides) == 0 {
		return nil
	}
	return overrides
}

// named tells whoever is asked which route Envoy chose.
func named(name string) []*corev3.HeaderValue {
	return []*corev3.HeaderValue{tells(config.RouteHeader, name)}
}

func override(o *extprocv3.ExtProcOverrides) *anypb.Any {
	return anyOf(&extprocv3.ExtProcPerRoute{Override: &extprocv3.ExtProcPerRoute_Overrides{Overrides: o}})
}

// bypass takes gate, lock and tap out of a route.
func bypass() map[string]*anypb.Any {
	return map[string]*anypb.Any{gateFilter: off(), lockFilter: off(), tapFilter: off()}
}

func off() *anypb.Any { return anyOf(&routev3.FilterConfig{Disabled: true}) }
