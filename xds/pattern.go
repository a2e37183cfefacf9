package xds

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// patternBytes bounds how much of prefixes is in one regular expression. Envoy's engine (RE2) makes an automaton of
// it as requests come, in bounded memory: of four times as much it gives up, and takes a hundred times as long.
const patternBytes = 8000

// byPattern finds routes of sites of many, of which those with more segments come first: below them there are no
// other sites. All else is found by a tree.
func byPattern(sites []*site, routes []*routev3.Route) *xdsmatcherv3.Matcher {
	own := map[string][]*routev3.Route{}
	for _, s := range sites {
		own[s.name] = nil
	}
	var rest []*routev3.Route
	for _, r := range routes {
		if _, ok := own[r.GetName()]; ok {
			own[r.GetName()] = append(own[r.GetName()], r)
		} else {
			rest = append(rest, r)
		}
	}
	slices.SortFunc(sites, func(a, b *site) int {
		return cmp.Or(-cmp.Compare(strings.Count(a.name, "*"), strings.Count(b.name, "*")), cmp.Compare(a.name, b.name))
	})
	list := &xdsmatcherv3.Matcher_MatcherList{}
	for _, s := range sites {
		list.Matchers = append(list.Matchers, &xdsmatcherv3.Matcher_MatcherList_FieldMatcher{
			Predicate: oneOf(patterns(s.prefixes)), OnMatch: inOrder(own[s.name]),
		})
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: list},
		OnNoMatch:   &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: byPath(rest)}},
	}
}

// patterns are regular expressions of the paths, with their query, that begin with one of the prefixes. Neighbours
// stand together, so that most paths are known to be of no other after a few letters.
func patterns(prefixes []string) []string {
	var all []string
	var pattern strings.Builder
	for _, prefix := range slices.Sorted(slices.Values(prefixes)) {
		if pattern.Len() > 0 && pattern.Len()+len(prefix) > patternBytes {
			all = append(all, pattern.String())
			pattern.Reset()
		}
		if pattern.Len() > 0 {
			pattern.WriteByte('|')
		}
		pattern.WriteString(regexp.QuoteMeta(prefix[1:]))
	}
	all = append(all, pattern.String())
	for i := range all {
		all[i] = "/(?:" + all[i] + `)(?:[/?]\C*)?`
	}
	return all
}

// oneOf holds for requests whose path matches one of the patterns.
func oneOf(patterns []string) *predicate {
	predicates := make([]*predicate, len(patterns))
	for i, pattern := range patterns {
		predicates[i] = &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
			SinglePredicate: &condition{Input: requestHeader(":path"), Matcher: matches(pattern)},
		}}
	}
	if len(predicates) == 1 {
		return predicates[0]
	}
	return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher{
		OrMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: predicates},
	}}
}

type predicate = xdsmatcherv3.Matcher_MatcherList_Predicate
