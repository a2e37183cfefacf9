package deploy

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// istioPatch is one of an EnvoyFilter, as far as Tollgate's go.
type istioPatch struct {
	ApplyTo string `json:"applyTo"`
	Match   struct {
		Listener struct {
			FilterChain struct {
				Filter struct {
					SubFilter struct {
						Name string `json:"name"`
					} `json:"subFilter"`
				} `json:"filter"`
			} `json:"filterChain"`
		} `json:"listener"`
		RouteConfiguration struct {
			VHost struct {
				Name string `json:"name"`
			} `json:"vhost"`
		} `json:"routeConfiguration"`
	} `json:"match"`
	Patch struct {
		Operation string `json:"operation"`
		Value     any    `json:"value"`
	} `json:"patch"`
}

// patched is a workload's Envoy after Istio has applied an EnvoyFilter, in the order in which it stands there.
func patched(t *testing.T, all []object) *foreign {
	t.Helper()
	f := &foreign{address: freeAddress(t), vhost: "inbound|http|8000"}
	for _, o := range all {
		if o.Kind != "EnvoyFilter" {
			continue
		}
		var filter struct {
			Spec struct {
				ConfigPatches []istioPatch `json:"configPatches"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(o.text, &filter); err != nil {
			t.Fatal(err)
		}
		for _, p := range filter.Spec.ConfigPatches {
			f.apply(t, p)
		}
	}
	if len(f.clusters) == 0 || len(f.filters) != 3 || len(f.routes) == 0 {
		t.Fatalf("there are patches for %d clusters, %d filters and %d routes, want some of each, and 3 filters", len(f.clusters), len(f.filters), len(f.routes))
	}
	return f
}

func (f *foreign) apply(t *testing.T, p istioPatch) {
	t.Helper()
	switch what := p.ApplyTo + " " + p.Patch.Operation; what {
	case "CLUSTER ADD":
		f.clusters = append(f.clusters, p.Patch.Value)
	case "HTTP_FILTER INSERT_BEFORE":
		if before := p.Match.Listener.FilterChain.Filter.SubFilter.Name; before != "envoy.filters.http.router" {
			t.Errorf("a filter is put before %q, want the router", before)
		}
		f.filters = append(f.filters, p.Patch.Value)
	case "HTTP_ROUTE INSERT_FIRST":
		f.routes = append([]any{p.Patch.Value}, f.routes...)
		if name := p.Match.RouteConfiguration.VHost.Name; name != "" {
			f.vhost = name
		}
	default:
		t.Errorf("this test does not know the patch %s", what)
	}
}

// TestIstioManifests: Envoy takes the patches of every manifest that is checked in.
func TestIstioManifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(deployDir, "istio", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		all := checkedIn(t, "istio/"+filepath.Base(file))
		if len(all) == 0 {
			continue // a configuration of Tollgate's
		}
		checked++
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			f := patched(t, all)
			f.clusters = append(f.clusters, meshService("127.0.0.1:9000"))
			validate(t, write(t, f.text(t)))
		})
	}
	if checked == 0 {
		t.Error("there is no manifest")
	}
}

// meshService is the cluster that Istio makes for Tollgate's Service.
func meshService(address string) fields {
	host, port, _ := strings.Cut(address, ":")
	value, _ := strconv.Atoi(port)
	const name = "outbound|9000||tollgate.tollgate.svc.cluster.local"
	return fields{
		"name": name,
		"type": "STATIC",
		"load_assignment": fields{"cluster_name": name, "endpoints": []any{fields{"lb_endpoints": []any{
			fields{"endpoint": fields{"address": fields{"socket_address": fields{"address": host, "port_value": value}}}},
		}}}},
		"typed_extension_protocol_options": fields{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": fields{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": fields{"http2_protocol_options": fields{}},
		}},
	}
}

// gate is `tollgate serve` for an Envoy that another control plane configures.
type gate struct {
	dir    string
	socket string
	config string
}

// meshGate starts it, with an upstream of the test's, that everything is recorded of. The upstream is on this machine,
// by one of its names.
func meshGate(t *testing.T, listen, host string) *gate {
	t.Helper()
	g := &gate{dir: shortDir(t)}
	g.config, g.socket = filepath.Join(g.dir, "tollgate.yaml"), "unix://"+filepath.Join(g.dir, "t.sock")
	text := fmt.Sprintf(`
clients: [{name: team, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /llm, upstream: openai, limits: [{requests: 5/hour}, {tokens: 100000/minute}]}]
chat_log: {dir: %q}
telemetry: {usage: true}
`, teamKey, strings.Replace(mock(t, realKey), "127.0.0.1", host, 1), realKey, filepath.Join(g.dir, "Log"))
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	operator := freeAddress(t)
	if listen == "" {
		listen = g.socket
	}
	start(t, exec.Command(program(t), "serve", "--config", g.config, "--listen", listen, "--admin", operator))
	eventually(t, "tollgate is well", func() error { return succeeds(t.Context(), program(t), "health", "--admin", operator) })
	return g
}

// export prints the objects for the gate's configuration.
func (g *gate) export(t *testing.T, flags ...string) []object {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), append([]string{"export", "--config", g.config}, flags...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

// works wants all of a gateway: keys, limits, records, also of a stream that takes longer than Envoy Gateway's time for
// a call (see translated); and that what is not Tollgate's is let alone.
func (g *gate) works(t *testing.T, url string) {
	t.Helper()
	if got, err := ask(t.Context(), url+"/other", ""); err != nil || got.body != "its own" {
		t.Errorf("a route of that Envoy's own is not what it was: %v, %v", got, err)
	}
	wantStatus(t, url+"/llm", "", http.StatusUnauthorized)
	wantStatus(t, url+"/llm", "fk-other", http.StatusUnauthorized)
	got := wantStatus(t, url+"/llm", teamKey, http.StatusOK)
	if left := got.header.Get("X-Ratelimit-Remaining-Requests"); left != "4" {
		t.Errorf("x-ratelimit-remaining-requests: %q, want 4", left)
	}
	if got.header.Get("X-Ratelimit-Remaining-Tokens") == "" {
		t.Error("the answer does not tell how many tokens are left")
	}
	g.records(t, 1)

	stream := strings.Replace(chat, "{", `{"stream": true, `, 1)
	slow, err := call(t.Context(), http.MethodPost, url+"/llm/v1/chat/completions", teamKey, stream, "mock-events", "10", "mock-interval", "200ms")
	if err != nil || !strings.HasSuffix(slow.body, "data: [DONE]\n\n") {
		t.Errorf("a stream is cut: %v: %+v", err, slow)
	}
	g.records(t, 2)
}

// records waits until so many whole answers are in the log of chats.
func (g *gate) records(t *testing.T, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d chats are recorded", want), func() error {
		logs, err := filepath.Glob(filepath.Join(g.dir, "Log", "*", "chat", "chat.log"))
		if err != nil || len(logs) != 1 {
			return fmt.Errorf("there are %d logs: %w", len(logs), err)
		}
		text, err := os.ReadFile(logs[0])
		if err != nil {
			return err
		}
		if whole := regexp.MustCompile(`"assistant":"[^"]+".*"finish_reason":"stop"`).FindAll(text, -1); len(whole) != want {
			return fmt.Errorf("there are %d:\n%s", len(whole), text)
		}
		return nil
	})
}

// TestIstio: Tollgate works in Envoys that Istio configures, whichever side it stands at.
func TestIstio(t *testing.T) {
	t.Parallel()
	for side, flags := range map[string][]string{
		"gateway":  {"--side", "gateway"},
		"inbound":  {"--side", "inbound"},
		"outbound": {"--side", "outbound", "--host", "api.openai.com"},
	} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			g := meshGate(t, "", "127.0.0.1")
			flags = append(flags, "--for", "istio", "--workload", "app=a", "--port", "8000", "--gate", g.socket)
			f := patched(t, g.export(t, flags...))
			g.works(t, run(t, write(t, f.text(t)), f.address))
		})
	}
}

// TestIstioService: so it does where Tollgate is a service of the mesh.
func TestIstioService(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	g := meshGate(t, address, "127.0.0.1")
	f := patched(t, g.export(t, "--for", "istio", "--workload", "app=a", "--port", "8000", "--gate", "tollgate.tollgate.svc.cluster.local:9000"))
	f.clusters = append(f.clusters, meshService(address))
	g.works(t, run(t, write(t, f.text(t)), f.address))
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
