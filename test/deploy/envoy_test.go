package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// fields is an object of YAML.
type fields = map[string]any

// foreign is an Envoy that another control plane configures: one listener, one route of its own, and what is brought
// into it.
type foreign struct {
	address  string // for clients
	clusters []any
	filters  []any // before the router
	routes   []any // before its own
	vhost    string
}

// text is the whole configuration.
func (f *foreign) text(t *testing.T) []byte {
	t.Helper()
	router := fields{"name": "envoy.filters.http.router", "typed_config": fields{
		"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
	}}
	own := fields{"match": fields{"prefix": "/"}, "direct_response": fields{"status": 200, "body": fields{"inline_string": "its own"}}}
	manager := fields{
		"@type":        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":  "foreign",
		"http_filters": append(f.filters, router),
		"route_config": fields{"name": "foreign", "virtual_hosts": []any{
			fields{"name": f.vhost, "domains": []any{"*"}, "routes": append(f.routes, own)},
		}},
	}
	bootstrap := fields{"static_resources": fields{
		"clusters": f.clusters,
		"listeners": []any{fields{
			"name":    "foreign",
			"address": fields{"socket_address": fields{"address": "127.0.0.1", "port_value": number(t, portOf(t, f.address))}},
			"filter_chains": []any{fields{"filters": []any{
				fields{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
			}}},
		}},
	}}
	text, err := yaml.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// write puts a configuration into a file.
func write(t *testing.T, text []byte) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// validate wants a real Envoy to take a configuration.
func validate(t *testing.T, file string) {
	t.Helper()
	if err := succeeds(t.Context(), envoy(t), "--mode", "validate", "-c", file, "--log-level", "error"); err != nil {
		text, _ := os.ReadFile(file)
		t.Fatalf("%v\nin:\n%s", err, text)
	}
}

// run starts an Envoy, and waits until it answers.
func run(t *testing.T, file, address string) (url string) {
	t.Helper()
	start(t, exec.Command(envoy(t), "-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"))
	url = "http://" + address
	eventually(t, "Envoy listens", func() error {
		_, err := ask(t.Context(), url+"/", "")
		return err
	})
	return url
}
