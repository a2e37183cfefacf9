package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// printed are the checked-in files, each with the command that makes it.
var printed = map[string]string{
	"istio/gateway.yaml":          "export --for istio --workload app=llm-gateway --port 8000 --config istio/tollgate.yaml",
	"istio/gateway-service.yaml":  "export --for istio --workload app=llm-gateway --port 8000 --gate tollgate.tollgate.svc.cluster.local:9000 --config istio/tollgate.yaml",
	"istio/inbound.yaml":          "export --for istio --side inbound --workload app=vllm --port 8080 --config istio/tollgate-inbound.yaml",
	"istio/outbound.yaml":         "export --for istio --side outbound --workload app=chat --host api.openai.com --port 80 --config istio/tollgate.yaml",
	"envoy-gateway/tollgate.yaml": "export --for envoy-gateway --gateway llm --config envoy-gateway/config.yaml",

	// Three quarters of what Envoy's container gets.
	"kubernetes/base/envoy.yaml":     "bootstrap --max-heap 805306368",
	"helm/tollgate/files/envoy.yaml": "bootstrap --max-heap 805306368",
}

// TestPrinted: what is checked in below deploy is what the commands print.
func TestPrinted(t *testing.T) {
	t.Setenv("TEAM_KEY", "fk-team")
	t.Setenv("OPENAI_API_KEY", "sk-real")
	t.Chdir("../../deploy")
	for file, args := range printed {
		t.Run(file, func(t *testing.T) {
			got := runPrinting(t, args)
			if *update {
				if err := os.WriteFile(filepath.FromSlash(file), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(filepath.FromSlash(file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("it differs (-golden +printed); if that is right, run make golden:\n%s", diff)
			}
			for _, key := range []string{"fk-team", "sk-real"} {
				if bytes.Contains(got, []byte(key)) {
					t.Errorf("the key %s is in it", key)
				}
			}
		})
	}
}

// TestExportErrors: what cannot be said is told, with what would be right.
func TestExportErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for args, want := range map[string]string{
		"--for linkerd":                                            "istio or envoy-gateway",
		"--for istio --port 80":                                    "which workload",
		"--for istio --workload app=a":                             "which port",
		"--for istio --workload app=a --port 80 --side up":         "gateway, inbound or outbound",
		"--for istio --workload app=a --port 80 --side outbound":   "a host",
		"--for istio --workload app=a --port 80 --host h":          "a host",
		"--for istio --workload app=a --port 80 --gate nonsense":   "HOST:PORT",
		"--for envoy-gateway":                                      "which Gateway",
		"--for envoy-gateway --gateway llm --gate nonsense":        "HOST:PORT",
		"--for envoy-gateway --gateway llm --gate host:70000":      "HOST:PORT",
		"--for envoy-gateway --gateway llm --config proxy.yaml":    "no proxy",
		"--for envoy-gateway --gateway llm --config loopback.yaml": "loopback",
	} {
		for name, upstream := range map[string]string{
			"tollgate.yaml": "url: http://192.0.2.1",
			"proxy.yaml":    "url: http://192.0.2.1, proxy: 'http://192.0.2.2:3128'",
			"loopback.yaml": "url: http://127.0.0.1:8080",
		} {
			text := "upstreams: [{name: up, " + upstream + "}]\nroutes: [{prefix: /, upstream: up}]\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := root()
		cmd.SetArgs(append([]string{"export"}, strings.Fields(args)...))
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("export %s: got %v, want an error with %q", args, err, want)
		}
	}
}

func runPrinting(t *testing.T, args string) []byte {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetArgs(strings.Fields(args))
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
