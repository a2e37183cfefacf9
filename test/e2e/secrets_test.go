package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestNoKeyShows: after requests that show keys in every way that a client can, no key stands in
// what the gateway says, in its files, its metrics, or Envoy's dump of its configuration, counters
// and certificates. The last check shows that the search can find one.
func TestNoKeyShows(t *testing.T) {
	t.Parallel()
	upstream, ca, _ := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	access := filepath.Join(g.dir, "access.log")
	g.write(t, "tollgate.yaml", g.addresses+fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s], ca_file: %q}]
routes: [{prefix: /, upstream: openai}]
telemetry: {usage: true, access_log: %q}
`, clientKey, upstream, upstreamKey, ca, access))
	g.args = []string{"run"}
	g.start(t)

	const wrong = "fk-wrong-0123456789"
	for _, key := range []string{clientKey, wrong} {
		for _, headers := range [][]header{
			{{"authorization", "Bearer " + key}},
			{{"x-api-key", key}},
			{{"api-key", key}, {"cookie", "key=" + key}, {"x-copy", key}},
			{{"sec-websocket-protocol", "realtime, openai-insecure-api-key." + key}},
		} {
			for _, path := range []string{"/echo", "/v1/chat/completions", "/nowhere?key=" + key} {
				body := `{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}`
				side{g.url, ""}.do(t, request{
					method: http.MethodPost, path: path, body: strings.NewReader(body),
					headers: append(headers, header{"content-type", "application/json"}),
				})
			}
		}
	}
	keys := []string{clientKey, wrong, upstreamKey}
	search := func(where, text string) {
		for _, key := range keys {
			if i := strings.Index(text, key); i >= 0 {
				t.Errorf("%s shows a key: …%s…", where, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	eventually(t, "the access log is written", func() bool {
		written, _ := os.ReadFile(access)
		return strings.Count(string(written), "\n") >= 20
	})
	search("the gateway's output", g.output.String())
	search("/metrics", g.get(t, g.admin+"/metrics", nil))
	for _, page := range []string{"/config_dump?include_eds", "/clusters", "/certs", "/stats", "/server_info", "/listeners"} {
		answer := g.get(t, "http://envoy"+page, g.envoyAdmin(t))
		if len(answer) < 10 {
			t.Errorf("Envoy's %s is empty", page)
		}
		search("Envoy's "+page, answer)
	}
	found := 0
	err := filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if entry.Name() == "tollgate.yaml" {
			found += strings.Count(string(content), clientKey)
			return err
		}
		search(path, string(content))
		return err
	})
	if err != nil || found != 1 {
		t.Errorf("the search found %d keys where there is one: %v", found, err)
	}
}

// get reads a page.
func (g *gateway) get(t *testing.T, url string, transport http.RoundTripper) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// envoyAdmin reaches the administration of the gateway's Envoy, by its Unix socket.
func (g *gateway) envoyAdmin(t *testing.T) http.RoundTripper {
	t.Helper()
	root := cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), os.TempDir())
	sockets, _ := filepath.Glob(filepath.Join(root, fmt.Sprintf("tollgate-%d-*", g.process.Pid), "envoy.sock"))
	if len(sockets) != 1 {
		t.Fatalf("the gateway's Envoy has the sockets %q", sockets)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", sockets[0])
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
