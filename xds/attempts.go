package xds

import (
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

const (
	attemptFilter = "tollgate.attempt"
	answerFilter  = "tollgate.answer"
	hurryFilter   = "tollgate.hurry"
)

// keyFilters stand between the router and an upstream with several keys, once for each attempt. The first
// attempt has its key from the gate, and an answer that says nothing against it is nobody's business: a
// request that goes well costs next to nothing here.
//
// Nothing may hold an answer here, as an external processor in the path does: Envoy 1.40 crashes where an
// upstream answers a request before its end (TestEarlyAnswers).
func keyFilters(u *config.Upstream) []*hcmv3.HttpFilter {
	return []*hcmv3.HttpFilter{
		// Gives an attempt after another its key. Fails closed.
		httpFilter(attemptFilter, where(isLater(), attemptFilter, prepares(u.Name))),
		// The next attempt, with another key, need not wait as long as this one would have to.
		httpFilter(hurryFilter, where(isStatus(againstKey), hurryFilter, hurries())),
		// Tells of what turns a key down. Fails open.
		httpFilter(answerFilter, where(isStatus(againstKey), answerFilter, learns(u.Name))),
		httpFilter("envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{}),
	}
}

// chainFilters stand between the router and several upstreams, once for each attempt.
func chainFilters() []*hcmv3.HttpFilter {
	const upstream = "%UPSTREAM_METADATA(" + config.MetadataNamespace + ":" + config.UpstreamKey + ")%"
	prepares := prepares(upstream)
	prepares.ForwardRules.AllowedHeaders.Patterns = append(prepares.ForwardRules.AllowedHeaders.Patterns, exactly(":path"), exactly("content-length"))
	prepares.AllowModeOverride = true                                                                // see attemptsOf
	prepares.AllowContentLengthHeader = true                                                         // see gate
	prepares.MutationRules = &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)} // the host
	return []*hcmv3.HttpFilter{
		// Gives each attempt its upstream's key, host and path. Fails closed.
		httpFilter(attemptFilter, prepares),
		// The next attempt, at another upstream, need not wait as long as this one would have to.
		httpFilter(hurryFilter, where(isStatus("[45].."), hurryFilter, hurries())),
		// Tells of what turns a key down. Fails open.
		httpFilter(answerFilter, where(isStatus(againstKey), answerFilter, learns(upstream))),
		httpFilter("envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{}),
	}
}

// againstKey are the statuses that may say something against a key: see auth.RestOf.
const againstKey = "401|403|429"

// attemptsOf names the route to the filters that stand before its upstreams. The gate may ask for the request's body
// where that depends on the upstream. It comes no sooner: Envoy 1.40 crashes where a filter there has a large body,
// and no connection to the gate yet (TestRenamedBodies).
func (s *site) attemptsOf(l *lead, body bool) map[string]*anypb.Any {
	if !l.attempts {
		return nil
	}
	attempt := &extprocv3.ExtProcOverrides{GrpcInitialMetadata: named(s.name)}
	filters := map[string]*anypb.Any{answerFilter: override(attempt)}
	if body && l.several() && l.choice.Renames() {
		attempt.GrpcInitialMetadata = append(attempt.GrpcInitialMetadata, tells(config.BodyHeader, "1"))
	}
	filters[attemptFilter] = override(attempt)
	return filters
}

// prepares asks `tollgate serve` what an attempt goes with.
func prepares(upstream string) *extprocv3.ExternalProcessor {
	p := asks(upstream)
	p.MessageTimeout = durationpb.New(gateTimeout)
	p.StatusOnError = &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable}
	p.ProcessingMode.RequestHeaderMode = extprocv3.ProcessingMode_SEND
	p.MetadataOptions.ReceivingNamespaces = ours()
	places := config.KeyPlaces()
	p.ForwardRules = onlyHeaders(append(places[:], config.ProtocolsHeader)...)
	return p
}

// learns tells `tollgate serve` of an answer, by its headers.
func learns(upstream string) *extprocv3.ExternalProcessor {
	p := asks(upstream)
	p.ObservabilityMode = true
	p.FailureModeAllow = true
	p.DeferredCloseTimeout = durationpb.New(tapCloseTimeout)
	p.ProcessingMode.ResponseHeaderMode = extprocv3.ProcessingMode_SEND
	p.ForwardRules = onlyHeaders(":status", "retry-after", "retry-after-ms", "x-ratelimit-reset",
		"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
	return p
}

// asks is what both have in common. The route is named by each route: see attemptsOf.
func asks(upstream string) *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		GrpcService: toTollgate(AttemptCluster, tells(config.UpstreamHeader, upstream)),
		ProcessingMode: &extprocv3.ProcessingMode{
			RequestHeaderMode:   extprocv3.ProcessingMode_SKIP,
			RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
			ResponseHeaderMode:  extprocv3.ProcessingMode_SKIP,
			ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
		},
		MetadataOptions: &extprocv3.MetadataOptions{ForwardingNamespaces: ours()},
	}
}

func ours() *extprocv3.MetadataOptions_MetadataNamespaces {
	return &extprocv3.MetadataOptions_MetadataNamespaces{Untyped: []string{config.MetadataNamespace}}
}

// hurries has the retry policy wait as for any other failure, whatever retry-after says.
func hurries() *headermutationv3.HeaderMutation {
	return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
		ResponseMutations: []*mutationv3.HeaderMutation{{
			Action: &mutationv3.HeaderMutation_Append{Append: header(config.WaitHeader, "0")},
		}},
	}}
}

func onlyHeaders(names ...string) *extprocv3.HeaderForwardingRules {
	rules := &matcherv3.ListStringMatcher{}
	for _, name := range names {
		rules.Patterns = append(rules.Patterns, exactly(name))
	}
	return &extprocv3.HeaderForwardingRules{AllowedHeaders: rules}
}
