package xds

import (
	celv3 "cel.dev/expr"
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/metadata/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
)

// where is a filter for requests and answers of which a condition holds; for others it is not made.
func where(holds *condition, name string, filter proto.Message) *matchingv3.ExtensionWithMatcher {
	return &matchingv3.ExtensionWithMatcher{
		ExtensionConfig: &corev3.TypedExtensionConfig{
			Name: "envoy.filters.http.composite", TypedConfig: anyOf(&compositev3.Composite{}),
		},
		XdsMatcher: &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{
			MatcherList: &xdsmatcherv3.Matcher_MatcherList{Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
				Predicate: &xdsmatcherv3.Matcher_MatcherList_Predicate{
					MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{SinglePredicate: holds},
				},
				OnMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
					Action: &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: anyOf(&compositev3.ExecuteFilterAction{
						TypedConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: anyOf(filter)},
					})},
				}},
			}}},
		}},
	}
}

// condition holds for some requests or answers.
type condition = xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate

// hasCall holds for requests to which the gate gave an id. What the gate answers itself would else cost the
// tap a stream for nothing, since Envoy shows it local replies.
func hasCall() *condition {
	id := &networkv3.DynamicMetadataInput{
		Filter: config.MetadataNamespace,
		Path: []*networkv3.DynamicMetadataInput_PathSegment{{
			Segment: &networkv3.DynamicMetadataInput_PathSegment_Key{Key: config.CallKey},
		}},
	}
	present := &metadatav3.Metadata{Value: &matcherv3.ValueMatcher{
		MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true},
	}}
	return &condition{
		Input: &xdscorev3.TypedExtensionConfig{Name: "envoy.matching.inputs.dynamic_metadata", TypedConfig: anyOf(id)},
		Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
			CustomMatch: &xdscorev3.TypedExtensionConfig{Name: "envoy.matching.matchers.metadata_matcher", TypedConfig: anyOf(present)},
		},
	}
}

// isLater holds for an attempt after another: upstream.request_attempt_count > 1, in CEL, of which Envoy
// takes the parsed form.
func isLater() *condition {
	count := &celv3.Expr{Id: 2, ExprKind: &celv3.Expr_SelectExpr{SelectExpr: &celv3.Expr_Select{
		Operand: &celv3.Expr{Id: 3, ExprKind: &celv3.Expr_IdentExpr{IdentExpr: &celv3.Expr_Ident{Name: "upstream"}}},
		Field:   "request_attempt_count",
	}}}
	one := &celv3.Expr{Id: 4, ExprKind: &celv3.Expr_ConstExpr{ConstExpr: &celv3.Constant{ConstantKind: &celv3.Constant_Int64Value{Int64Value: 1}}}}
	later := &celv3.Expr{Id: 1, ExprKind: &celv3.Expr_CallExpr{CallExpr: &celv3.Expr_Call{Function: "_>_", Args: []*celv3.Expr{count, one}}}}
	return &condition{
		Input: &xdscorev3.TypedExtensionConfig{Name: "later", TypedConfig: anyOf(&xdsmatcherv3.HttpAttributesCelMatchInput{})},
		Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{CustomMatch: &xdscorev3.TypedExtensionConfig{
			Name: "envoy.matching.matchers.cel_matcher",
			TypedConfig: anyOf(&xdsmatcherv3.CelMatcher{ExprMatch: &xdstypev3.CelExpression{
				CelExprParsed: &celv3.ParsedExpr{Expr: later},
			}}),
		}},
	}
}

// isStatus holds for answers whose status matches a regular expression (RE2).
func isStatus(expression string) *condition {
	return &condition{
		Input:   &xdscorev3.TypedExtensionConfig{Name: "status", TypedConfig: anyOf(&matcherv3.HttpResponseStatusCodeMatchInput{})},
		Matcher: matches(expression),
	}
}

// matches holds for what a regular expression (RE2) matches as a whole.
func matches(expression string) *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: &xdsmatcherv3.StringMatcher{
		MatchPattern: &xdsmatcherv3.StringMatcher_SafeRegex{SafeRegex: &xdsmatcherv3.RegexMatcher{
			EngineType: &xdsmatcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &xdsmatcherv3.RegexMatcher_GoogleRE2{}},
			Regex:      expression,
		}},
	}}
}
