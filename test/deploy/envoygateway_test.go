package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	envoygateway "github.com/envoyproxy/gateway/api/v1alpha1"
	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/ohler55/ojg/jp"
	"github.com/ohler55/ojg/oj"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// translation is what Envoy Gateway makes of objects: the part of it that Tollgate's objects need, with its names, read
// off its own golden files (v1.9.1). Paths into what it made are followed by the libraries that it uses itself.
type translation struct {
	t   *testing.T
	all []object
	*foreign
}

// translated is the Envoy that Envoy Gateway would run. Each call of a processor ends within a second, as each does
// there within ten: no stream may be cut by it.
func translated(t *testing.T, all []object) (file, address string) {
	t.Helper()
	x := &translation{t, all, &foreign{address: freeAddress(t), vhost: "default/llm/http/*"}}
	var routes []*gateway.HTTPRoute
	for _, o := range all {
		switch o.Kind {
		case "Backend":
			x.cluster(o.Metadata.Name, find[envoygateway.Backend](t, all, o.Kind, o.Metadata.Name))
		case "EnvoyExtensionPolicy":
			x.processors(find[envoygateway.EnvoyExtensionPolicy](t, all, o.Kind, o.Metadata.Name))
		case "HTTPRoute":
			routes = append(routes, find[gateway.HTTPRoute](t, all, o.Kind, o.Metadata.Name))
		}
	}
	// Where two have the same path, the one that asks for more headers goes first.
	slices.SortStableFunc(routes, func(a, b *gateway.HTTPRoute) int {
		return len(b.Spec.Rules[0].Matches[0].Headers) - len(a.Spec.Rules[0].Matches[0].Headers)
	})
	for _, r := range routes {
		x.route(r)
	}
	document, err := yaml.YAMLToJSON(x.text(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range find[envoygateway.EnvoyPatchPolicy](t, all, "EnvoyPatchPolicy", "tollgate").Spec.JSONPatches {
		document = x.patch(document, p)
	}
	return write(t, document), x.address
}

func (x *translation) cluster(name string, b *envoygateway.Backend) {
	x.t.Helper()
	address, kind := fields{}, "STATIC"
	switch e := b.Spec.Endpoints[0]; {
	case e.Unix != nil:
		address["pipe"] = fields{"path": e.Unix.Path}
	case e.IP != nil:
		address["socket_address"] = fields{"address": e.IP.Address, "port_value": e.IP.Port}
	case e.FQDN != nil:
		kind = "STRICT_DNS"
		address["socket_address"] = fields{"address": e.FQDN.Hostname, "port_value": e.FQDN.Port}
	}
	cluster := fields{
		"name": name, "type": kind, "dns_lookup_family": "V4_ONLY",
		"load_assignment": fields{"cluster_name": name, "endpoints": []any{fields{"lb_endpoints": []any{
			fields{"endpoint": fields{"address": address}},
		}}}},
	}
	if name == "tollgate" {
		cluster["typed_extension_protocol_options"] = fields{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": fields{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": fields{"http2_protocol_options": fields{}},
		}}
	}
	x.clusters = append(x.clusters, cluster)
}

func processorName(policy string, at int) string {
	return fmt.Sprintf("envoy.filters.http.ext_proc/envoyextensionpolicy/default/%s/extproc/%d", policy, at)
}

func (x *translation) processors(p *envoygateway.EnvoyExtensionPolicy) {
	x.t.Helper()
	for i, said := range p.Spec.ExtProc {
		filter := fields{
			"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
			"grpc_service": fields{
				"envoy_grpc": fields{"cluster_name": string(said.BackendRefs[0].Name), "authority": "tollgate.default"},
				"timeout":    "1s",
			},
			"processing_mode": modes(said.ProcessingMode),
		}
		if said.ShadowMode != nil {
			filter["observability_mode"] = *said.ShadowMode
		}
		if said.FailOpen != nil {
			filter["failure_mode_allow"] = *said.FailOpen
		}
		if said.MessageTimeout != nil {
			filter["message_timeout"] = "5s"
			if *said.MessageTimeout != "5000ms" {
				x.t.Errorf("message timeout %s: this test knows only 5000ms", *said.MessageTimeout)
			}
		}
		if said.StatusOnError != nil {
			filter["status_on_error"] = fields{"code": *said.StatusOnError}
		}
		if said.ProcessingMode.Request != nil && said.ProcessingMode.Request.Attributes != nil {
			filter["request_attributes"] = said.ProcessingMode.Request.Attributes
		}
		if m := said.Metadata; m != nil {
			filter["metadata_options"] = fields{
				"forwarding_namespaces": fields{"untyped": m.AccessibleNamespaces},
				"receiving_namespaces":  fields{"untyped": m.WritableNamespaces},
			}
		}
		x.filters = append(x.filters, fields{"name": processorName(p.Name, i), "disabled": true, "typed_config": filter})
	}
}

// modes are what a processor sees.
func modes(said *envoygateway.ExtProcProcessingMode) fields {
	seen := fields{
		"request_header_mode": "SKIP", "response_header_mode": "SKIP",
		"request_trailer_mode": "SKIP", "response_trailer_mode": "SKIP",
	}
	names := map[envoygateway.ExtProcBodyProcessingMode]string{"Streamed": "STREAMED", "FullDuplexStreamed": "FULL_DUPLEX_STREAMED"}
	for side, options := range map[string]*envoygateway.ProcessingModeOptions{"request": said.Request, "response": said.Response} {
		if options == nil {
			continue
		}
		seen[side+"_header_mode"] = "SEND"
		if options.Body != nil {
			seen[side+"_body_mode"] = names[*options.Body]
			if *options.Body == "FullDuplexStreamed" {
				seen[side+"_trailer_mode"] = "SEND"
			}
		}
	}
	return seen
}

func (x *translation) route(r *gateway.HTTPRoute) {
	x.t.Helper()
	rule := r.Spec.Rules[0]
	match := fields{"path_separated_prefix": *rule.Matches[0].Path.Value}
	if *rule.Matches[0].Path.Value == "/" {
		match = fields{"prefix": "/"}
	}
	for _, h := range rule.Matches[0].Headers {
		match["headers"] = []any{fields{"name": string(h.Name), "string_match": fields{"safe_regex": fields{"regex": h.Value}}}}
	}
	rewrite := find[envoygateway.HTTPRouteFilter](x.t, x.all, "HTTPRouteFilter", r.Name).Spec.URLRewrite.Path.ReplaceRegexMatch
	route := fields{
		"name":  "httproute/default/" + r.Name + "/rule/0/match/0/*",
		"match": match,
		"route": fields{
			"cluster":         string(rule.BackendRefs[0].Name),
			"regex_rewrite":   fields{"pattern": fields{"regex": rewrite.Pattern}, "substitution": rewrite.Substitution},
			"timeout":         "0s",
			"upgrade_configs": []any{fields{"upgrade_type": "websocket"}},
		},
		"request_headers_to_remove": rule.Filters[0].RequestHeaderModifier.Remove,
	}
	on := fields{}
	for _, o := range x.all {
		if o.Kind != "EnvoyExtensionPolicy" {
			continue
		}
		p := find[envoygateway.EnvoyExtensionPolicy](x.t, x.all, o.Kind, o.Metadata.Name)
		for i := range p.Spec.ExtProc {
			if string(p.Spec.TargetRefs[0].Name) == r.Name {
				on[processorName(p.Name, i)] = fields{"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": fields{}}
			}
		}
	}
	if len(on) > 0 {
		route["typed_per_filter_config"] = on
	}
	x.routes = append(x.routes, route)
}

// patch adds a value at each place that its JSON path finds. There must be one.
func (x *translation) patch(document []byte, p envoygateway.EnvoyJSONPatchConfig) []byte {
	x.t.Helper()
	if p.Name != "default/llm/http" || p.Operation.Op != "add" {
		x.t.Errorf("this test does not know a patch %s of %s", p.Operation.Op, p.Name)
	}
	path, err := jp.ParseString(*p.Operation.JSONPath)
	if err != nil {
		x.t.Fatalf("%s: %v", *p.Operation.JSONPath, err)
	}
	parsed, err := oj.Parse(document)
	if err != nil {
		x.t.Fatal(err)
	}
	places := path.Locate(parsed, 0)
	if len(places) == 0 {
		x.t.Errorf("%s finds nothing", *p.Operation.JSONPath)
	}
	for _, place := range places {
		pointer := ""
		for _, step := range place {
			switch step := step.(type) {
			case jp.Child:
				pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(string(step))
			case jp.Nth:
				pointer += "/" + strconv.Itoa(int(step))
			}
		}
		if p.Operation.Path != nil {
			pointer += *p.Operation.Path
		}
		operation, err := json.Marshal([]fields{{"op": "add", "path": pointer, "value": p.Operation.Value}})
		if err != nil {
			x.t.Fatal(err)
		}
		decoded, err := jsonpatch.DecodePatch(operation)
		if err == nil {
			document, err = decoded.Apply(document)
		}
		if err != nil {
			x.t.Fatalf("%s: %v", pointer, err)
		}
	}
	return document
}

// TestEnvoyGatewayManifests: Envoy takes what the manifest that is checked in comes to.
func TestEnvoyGatewayManifests(t *testing.T) {
	t.Parallel()
	file, _ := translated(t, checkedIn(t, "envoy-gateway/*.yaml"))
	validate(t, file)
}

// TestEnvoyGateway: Tollgate works in Envoys that Envoy Gateway configures.
func TestEnvoyGateway(t *testing.T) {
	t.Parallel()
	// That API takes no loopback address, so the upstream has a name here.
	g := meshGate(t, "", "localhost")
	file, address := translated(t, g.export(t, "--for", "envoy-gateway", "--gateway", "llm", "--gate", g.socket))
	g.works(t, run(t, file, address))
}
