package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tollgate/xds"
)

// patches say the rest: which route each gate is asked about, without which it refuses; the lock; and
// headers of answers.
func (o EnvoyGateway) patches(mesh *xds.Mesh, routes []*httpRoute) (fields, error) {
	lock, err := plain(mesh.Filters()[1])
	if err != nil {
		return nil, err
	}
	patches := []fields{o.patch("listener", "Listener", `$..http_filters[?(@.name=="envoy.filters.http.router")]`, "", lock)}
	for _, r := range routes {
		of, err := r.patches()
		if err != nil {
			return nil, err
		}
		patches = append(patches, of...)
	}
	return object(envoyGatewayAPI, "EnvoyPatchPolicy", o.Namespace, "tollgate", fields{
		"type":        "JSONPatch",
		"targetRef":   fields{"group": gatewayGroup, "kind": "Gateway", "name": o.Gateway},
		"jsonPatches": patches,
	}), nil
}

func (r *httpRoute) patches() ([]fields, error) {
	var patches []fields
	for i, p := range r.processors() {
		filter := fmt.Sprintf(`$..http_filters[?(@.name=="envoy.filters.http.ext_proc/envoyextensionpolicy/%s/%s/extproc/%d")].typed_config`,
			r.in.Namespace, r.name, i)
		service, err := plain(p.GetGrpcService())
		if err != nil {
			return nil, err
		}
		if metadata, ok := service["initial_metadata"]; ok {
			patches = append(patches, r.in.patch("listener", "Listener", filter+".grpc_service", "/initial_metadata", metadata))
		}
		rest, err := unsaid(p)
		if err != nil {
			return nil, err
		}
		for _, field := range slices.Sorted(maps.Keys(rest)) {
			patches = append(patches, r.in.patch("listener", "Listener", filter, "/"+field, rest[field]))
		}
	}
	route, err := plain(r.envoy)
	if err != nil {
		return nil, err
	}
	values := fields{
		// That API's own way to say it takes no port, and tells the upstream the name that stood there.
		"/route/host_rewrite_literal": r.envoy.GetRoute().GetHostRewriteLiteral(),
	}
	for _, field := range []string{"request_headers_to_add", "response_headers_to_add"} {
		if headers, ok := route[field]; ok {
			values["/"+field] = headers
		}
	}
	if r.gate != nil {
		values["/typed_per_filter_config/"+xds.LockFilter] = fields{
			"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": fields{},
		}
	}
	name := fmt.Sprintf(`$..routes[?(@.name =~ /^httproute\/%s\/%s\//)]`, r.in.Namespace, r.name)
	for _, path := range slices.Sorted(maps.Keys(values)) {
		patches = append(patches, r.in.patch("route", "RouteConfiguration", name, path, values[path]))
	}
	return patches, nil
}

// patch adds a value below each place that a JSON path finds in a resource of the Gateway's listener.
func (o EnvoyGateway) patch(kind, message, jsonPath, path string, value any) fields {
	operation := fields{"op": "add", "jsonPath": jsonPath, "value": value}
	if path != "" {
		operation["path"] = path
	}
	return fields{
		"type":      "type.googleapis.com/envoy.config." + strings.ToLower(kind) + ".v3." + message,
		"name":      o.Namespace + "/" + o.Gateway + "/" + o.Listener,
		"operation": operation,
	}
}
