package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
)

// clientPatience is how long a client's program may take.
const clientPatience = 2 * time.Minute

// TestClients runs a program for each official SDK, and curl, both ways: they print all they see.
func TestClients(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T) []string{
		"python": func(t *testing.T) []string {
			return []string{existing(t, python(), "the Python with the SDK"), "clients/python/client.py"}
		},
		"node": func(t *testing.T) []string {
			existing(t, "clients/node/node_modules/openai/package.json", "the SDK for Node")
			return []string{"node", "clients/node/client.mjs"}
		},
		"curl": func(*testing.T) []string { return []string{"bash", "clients/curl/client.sh"} },
	}
	for name, command := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := command(t)
			direct, through, upstream := sides(t)
			want := runClient(t, program, direct)
			before := len(upstream.Requests())
			got := runClient(t, program, through)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("through the gateway %s sees (- direct, + through):\n%s", name, diff)
			}
			carryUpstreamKey(t, upstream.Requests()[before:])
		})
	}
}

// TestGoClient does the same with the SDK for Go.
func TestGoClient(t *testing.T) {
	t.Parallel()
	direct, through, upstream := sides(t)
	wantResults, wantAnswers := goClient(t, direct)
	before := len(upstream.Requests())
	results, answers := goClient(t, through)
	if diff := cmp.Diff(wantResults, results); diff != "" {
		t.Errorf("through the gateway the SDK sees (- direct, + through):\n%s", diff)
	}
	if diff := cmp.Diff(wantAnswers, answers); diff != "" {
		t.Errorf("through the gateway come the answers (- direct, + through):\n%s", diff)
	}
	carryUpstreamKey(t, upstream.Requests()[before:])
}

// carryUpstreamKey wants the upstream's key in every request, and the client's in none.
func carryUpstreamKey(t *testing.T, requests []mock.Request) {
	t.Helper()
	if len(requests) < 10 {
		t.Errorf("only %d requests arrived", len(requests))
	}
	for _, r := range requests {
		all, err := json.Marshal(r)
		if err != nil || !strings.Contains(string(all), upstreamKey) || strings.Contains(string(all), clientKey) {
			t.Errorf("%s %s arrived as %s, %v", r.Method, r.URI, all, err)
		}
	}
}

// python is where `make test-tools` puts it.
func python() string {
	if path := os.Getenv("TOLLGATE_PYTHON"); path != "" {
		return path
	}
	return filepath.Join("..", "..", ".tools", "venv", "bin", "python3")
}

func existing(t *testing.T, path, what string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: %v: run `make test-tools`", what, err)
	}
	return path
}

// runClient runs a program of clients/ and returns what it printed.
func runClient(t *testing.T, program []string, s side) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	// Little of this environment, so that no proxy and no key of the developer's is used.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_PROXY=*", "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"BASE_URL=" + s.url + "/v1", "API_KEY=" + s.key,
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(program, " "), err, printed, complaints.String())
	}
	var document any
	if err := json.Unmarshal(printed, &document); err != nil {
		t.Fatalf("%s printed no JSON: %v\n%s", strings.Join(program, " "), err, printed)
	}
	return document
}
