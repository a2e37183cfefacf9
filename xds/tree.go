package xds

import (
	"slices"
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
)

// listed is how many of Envoy's routes may stand in a list, which Envoy tries from the beginning for each
// request: of a thousand that took a third of the time that the request did.
const listed = 100

// plant has Envoy find routes otherwise where there are many: those of sites of many first, by patterns, then by a
// tree.
func (r *Resources) plant(sites []*site) {
	sites = slices.DeleteFunc(slices.Clone(sites), func(s *site) bool { return s.prefixes == nil })
	for _, configuration := range r.Routes {
		for _, host := range configuration.GetVirtualHosts() {
			clients := configuration.GetName() == RouteName
			switch {
			case clients && len(sites) > 0:
				host.Matcher = byPattern(sites, host.GetRoutes())
			case len(host.GetRoutes()) <= listed:
				continue
			case clients:
				host.Matcher = byPath(host.GetRoutes())
			default:
				host.Matcher = byName(host.GetRoutes())
			}
			host.Routes = nil
		}
	}
}

// byPath finds the routes of the longest prefix with which a path begins. That may be one which ends within a
// segment of it, and is none of the path's: so after them stand those of the prefixes above, as in the list.
func byPath(routes []*routev3.Route) *xdsmatcherv3.Matcher {
	own := map[string][]*routev3.Route{}
	for _, r := range routes {
		prefix := r.GetMatch().GetPrefix() + r.GetMatch().GetPathSeparatedPrefix() + r.GetMatch().GetPath() // one of these
		own[prefix] = append(own[prefix], r)
	}
	found := map[string][]*routev3.Route{}
	for prefix, list := range own {
		for _, above := range prefixesAbove(prefix) {
			list = append(list[:len(list):len(list)], own[above]...)
		}
		found[prefix] = list
	}
	tree := &xdsmatcherv3.Matcher_MatcherTree{
		Input:    requestHeader(":path"),
		TreeType: &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: matchMap(found)},
	}
	return &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: tree}}
}

// prefixesAbove are the shorter prefixes that hold for each path below one, the longest first.
func prefixesAbove(prefix string) []string {
	var above []string
	for at := strings.LastIndexByte(prefix, '/'); at > 0; at = strings.LastIndexByte(prefix[:at], '/') {
		above = append(above, prefix[:at])
	}
	if prefix != "/" {
		above = append(above, "/")
	}
	return above
}

// byName finds the routes of shared calls, by the header that names one; what names none leads nowhere.
func byName(routes []*routev3.Route) *xdsmatcherv3.Matcher {
	found, rest := map[string][]*routev3.Route{}, []*routev3.Route(nil)
	for _, r := range routes {
		if name := nameInHeader(r); name != "" {
			found[name] = append(found[name], r)
		} else {
			rest = append(rest, r)
		}
	}
	tree := &xdsmatcherv3.Matcher_MatcherTree{
		Input:    requestHeader(config.RouteHeader),
		TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: matchMap(found)},
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: tree},
		OnNoMatch:   inOrder(rest),
	}
}

func nameInHeader(r *routev3.Route) string {
	for _, h := range r.GetMatch().GetHeaders() {
		if h.GetName() == config.RouteHeader {
			return h.GetStringMatch().GetExact()
		}
	}
	return ""
}

func matchMap(found map[string][]*routev3.Route) *xdsmatcherv3.Matcher_MatcherTree_MatchMap {
	all := make(map[string]*xdsmatcherv3.Matcher_OnMatch, len(found))
	for key, routes := range found {
		all[key] = inOrder(routes)
	}
	return &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: all}
}

// inOrder takes the first route of a list that matches.
func inOrder(routes []*routev3.Route) *xdsmatcherv3.Matcher_OnMatch {
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: extension("routes", &routev3.RouteList{Routes: routes}),
	}}
}

func requestHeader(name string) *xdscorev3.TypedExtensionConfig {
	return extension("envoy.matching.inputs.request_headers", &matcherv3.HttpRequestHeaderMatchInput{HeaderName: name})
}

func extension(name string, settings proto.Message) *xdscorev3.TypedExtensionConfig {
	return &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: anyOf(settings)}
}
