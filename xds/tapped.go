package xds

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/metadata/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
)

// whereTapped is a filter for calls that the gate wants tapped: those to which it gave an id. What the
// gate answers itself would else cost the tap a stream for nothing, since Envoy shows it local replies.
func whereTapped(name string, filter proto.Message) *matchingv3.ExtensionWithMatcher {
	return &matchingv3.ExtensionWithMatcher{
		ExtensionConfig: &corev3.TypedExtensionConfig{
			Name: "envoy.filters.http.composite", TypedConfig: anyOf(&compositev3.Composite{}),
		},
		XdsMatcher: &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{
			MatcherList: &xdsmatcherv3.Matcher_MatcherList{Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
				Predicate: hasCall(),
				OnMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
					Action: &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: anyOf(&compositev3.ExecuteFilterAction{
						TypedConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: anyOf(filter)},
					})},
				}},
			}}},
		}},
	}
}

// hasCall matches requests to which the gate gave an id.
func hasCall() *xdsmatcherv3.Matcher_MatcherList_Predicate {
	id := &networkv3.DynamicMetadataInput{
		Filter: config.MetadataNamespace,
		Path: []*networkv3.DynamicMetadataInput_PathSegment{{
			Segment: &networkv3.DynamicMetadataInput_PathSegment_Key{Key: config.CallKey},
		}},
	}
	present := &metadatav3.Metadata{Value: &matcherv3.ValueMatcher{
		MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true},
	}}
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
		SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
			Input: &xdscorev3.TypedExtensionConfig{Name: "envoy.matching.inputs.dynamic_metadata", TypedConfig: anyOf(id)},
			Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
				CustomMatch: &xdscorev3.TypedExtensionConfig{Name: "envoy.matching.matchers.metadata_matcher", TypedConfig: anyOf(present)},
			},
		},
	}}
}
