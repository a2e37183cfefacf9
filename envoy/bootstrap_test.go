package envoy_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/envoy"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestGolden: the checked-in bootstrap.yaml, which docker-compose.yml mounts, is what the defaults give.
func TestGolden(t *testing.T) {
	t.Parallel()
	got, err := envoy.Bootstrap{}.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("bootstrap.yaml", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("bootstrap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("bootstrap.yaml differs (-golden +made); if that is right, run make golden:\n%s", diff)
	}
}

// TestEnvoyAccepts has the real Envoy check each form of address.
func TestEnvoyAccepts(t *testing.T) {
	t.Parallel()
	program := os.Getenv("ENVOY_PATH")
	if program == "" {
		t.Fatal("ENVOY_PATH is not set: run the tests by make test")
	}
	for name, bootstrap := range map[string]envoy.Bootstrap{
		"defaults": {},
		"sockets":  {Gate: "unix:///tmp/a b.sock", Admin: "unix:///tmp/admin.sock", NodeID: `odd "name"`},
		"tcp":      {Gate: "192.0.2.1:9000", Admin: "[::1]:9901"},
		"dns":      {Gate: "tollgate.example.com:9000", Group: "edge"},
		"tls":      {Gate: "tollgate.example.com:9000", TLS: &envoy.TLS{Authorities: "/tls/ca.pem"}},
		"mtls":     {Gate: "192.0.2.1:9000", TLS: &envoy.TLS{Authorities: "/a b/ca.pem", Certificate: "/tls/tls.crt", PrivateKey: "/tls/tls.key", ServerName: "gate.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if bootstrap.TLS != nil {
				bootstrap.TLS.Dir = dir
			}
			files, err := bootstrap.Files()
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, envoy.BootstrapFile)
			out, err := exec.CommandContext(t.Context(), program, "--mode", "validate", "-l", "warning", "-c", file).CombinedOutput()
			if err != nil || strings.Contains(strings.ToLower(string(out)), "deprecated") {
				t.Errorf("Envoy says: %v\n%s", err, out)
			}
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"nonsense", ":9000", "host:port", "host:70000"} {
		if _, err := (envoy.Bootstrap{Gate: bad}).YAML(); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%q: got %v, want an error that says what an address is", bad, err)
		}
	}
	if _, err := (envoy.Bootstrap{Admin: "localhost:9901"}).YAML(); err == nil {
		t.Error("Envoy's administration cannot listen at a name, and no error says so")
	}
}

// TestTLSThatDoesNotFit: what would not work, or would believe anyone, is refused.
func TestTLSThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for says, bootstrap := range map[string]envoy.Bootstrap{
		"a Unix socket is for its owner": {TLS: &envoy.TLS{Authorities: "ca.pem"}},
		"would believe anyone":           {Gate: "gate.test:1", TLS: &envoy.TLS{Certificate: "tls.crt", PrivateKey: "tls.key"}},
		"go together":                    {Gate: "gate.test:1", TLS: &envoy.TLS{Authorities: "ca.pem", PrivateKey: "tls.key"}},
		"must be in one directory":       {Gate: "gate.test:1", TLS: &envoy.TLS{Authorities: "ca.pem", Certificate: "a/tls.crt", PrivateKey: "b/tls.key"}},
	} {
		if _, err := bootstrap.Files(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
}
