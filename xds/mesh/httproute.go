package mesh

import (
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"google.golang.org/protobuf/proto"

	"tollgate/config"
	"tollgate/xds"
)

// httpRoute is one of Envoy's routes as an HTTPRoute, and what belongs to it.
type httpRoute struct {
	in    EnvoyGateway
	name  string
	route *config.Route
	envoy *routev3.Route

	gate *extprocv3.ExternalProcessor // nil: nobody is asked
	tap  *extprocv3.ExternalProcessor // nil: nobody looks on
}

// routes turns Envoy's routes into HTTPRoutes: of each route of ours one for WebSockets, where these go
// another way, and one for all else. That API would try a path by a regular expression before the longer
// of two prefixes, so what the gate reads of some requests it reads there of all.
func (o EnvoyGateway) routes(c *config.Config, mesh *xds.Mesh) ([]*httpRoute, error) {
	byID := map[string]*config.Route{}
	for _, r := range c.Routes {
		byID[r.ID] = r
	}
	var routes []*httpRoute
	done, names := map[string]bool{}, map[string]bool{}
	for _, e := range mesh.Routes {
		kind := ""
		if isWebSocket(e) {
			kind = "-websocket"
		}
		if len(e.GetMatch().GetDynamicMetadata()) > 0 || done[e.GetName()+kind] {
			continue
		}
		done[e.GetName()+kind] = true
		r := &httpRoute{in: o, route: byID[e.GetName()], envoy: e}
		r.name = unused(names, strings.TrimSuffix("tollgate-"+label(r.route.Prefix), "-")+kind)
		var err error
		if r.gate, err = processor(e, xds.GateFilter, mesh.Gate); err != nil {
			return nil, err
		}
		if r.tap, err = processor(e, xds.TapFilter, mesh.Tap); err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func isWebSocket(e *routev3.Route) bool {
	for _, h := range e.GetMatch().GetHeaders() {
		if h.GetName() == "upgrade" {
			return true
		}
	}
	return false
}

// unused takes a name that no other has: /a/b and /a-b have the same label.
func unused(taken map[string]bool, name string) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	taken[free] = true
	return free
}

// processor is a filter as a route wants it; nil where the route does without.
func processor(e *routev3.Route, filter string, base *extprocv3.ExternalProcessor) (*extprocv3.ExternalProcessor, error) {
	settings, on := e.GetTypedPerFilterConfig()[filter]
	if !on {
		return nil, nil //nolint:nilnil // to be off is no error
	}
	said, err := settings.UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("reading a route of our own: %w", err)
	}
	wanted := proto.CloneOf(base)
	if own, ok := said.(*extprocv3.ExtProcPerRoute); ok {
		wanted.GrpcService.InitialMetadata = merged(base.GetGrpcService().GetInitialMetadata(), own.GetOverrides().GetGrpcInitialMetadata())
		if mode := own.GetOverrides().GetProcessingMode(); mode != nil {
			wanted.ProcessingMode = mode
		}
		if options := own.GetOverrides().GetMetadataOptions(); options != nil {
			wanted.MetadataOptions = options
		}
	}
	return wanted, nil
}

// merged is what a filter tells the gate, and what a route tells instead.
func merged(filter, route []*corev3.HeaderValue) []*corev3.HeaderValue {
	told := slices.Clone(route)
	for _, h := range filter {
		if !slices.ContainsFunc(route, func(own *corev3.HeaderValue) bool { return own.GetKey() == h.GetKey() }) {
			told = append(told, h)
		}
	}
	return told
}

// processors are those that are on, in the order in which a request meets them.
func (r *httpRoute) processors() []*extprocv3.ExternalProcessor {
	var on []*extprocv3.ExternalProcessor
	for _, p := range []*extprocv3.ExternalProcessor{r.gate, r.tap} {
		if p != nil {
			on = append(on, p)
		}
	}
	return on
}

// objects are the route, how the path is rewritten, and who is asked.
func (r *httpRoute) objects() []fields {
	rewrite := r.envoy.GetRoute().GetRegexRewrite()
	objects := []fields{
		object(gatewayAPI, "HTTPRoute", r.in.Namespace, r.name, fields{
			"parentRefs": []fields{{"name": r.in.Gateway, "sectionName": r.in.Listener}},
			"rules":      []fields{r.rule()},
		}),
		object(envoyGatewayAPI, "HTTPRouteFilter", r.in.Namespace, r.name, fields{"urlRewrite": fields{"path": fields{
			"type": "ReplaceRegexMatch",
			"replaceRegexMatch": fields{
				"pattern":      rewrite.GetPattern().GetRegex(),
				"substitution": rewrite.GetSubstitution(),
			},
		}}}),
	}
	var asked []fields
	for _, p := range r.processors() {
		asked = append(asked, extProc(p))
	}
	if len(asked) == 0 {
		return objects
	}
	return append(objects, object(envoyGatewayAPI, "EnvoyExtensionPolicy", r.in.Namespace, r.name, fields{
		"targetRefs": []fields{{"group": gatewayGroup, "kind": "HTTPRoute", "name": r.name}},
		"extProc":    asked,
	}))
}

func (r *httpRoute) rule() fields {
	match := fields{"path": fields{"type": "PathPrefix", "value": r.route.Prefix}}
	if isWebSocket(r.envoy) {
		match["method"] = "GET"
		match["headers"] = []fields{{"type": "RegularExpression", "name": "upgrade", "value": "(?i)websocket"}}
	}
	return fields{
		"matches": []fields{match},
		"filters": []fields{
			{"type": "RequestHeaderModifier", "requestHeaderModifier": fields{"remove": r.envoy.GetRequestHeadersToRemove()}},
			{"type": "ExtensionRef", "extensionRef": fields{"group": envoyGroup, "kind": "HTTPRouteFilter", "name": r.name}},
		},
		"backendRefs": []fields{{"group": envoyGroup, "kind": "Backend", "name": upstreamName(r.route.Upstreams()[0])}},
		"timeouts":    fields{"request": "0s"}, // an answer takes as long as it moves
	}
}
