package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// tinyproxy runs a real HTTP proxy and names the file in which it says what it was asked.
func tinyproxy(t *testing.T, more string) (address, log string) {
	t.Helper()
	program, err := exec.LookPath("tinyproxy")
	if err != nil {
		program = filepath.Join("..", "..", ".tools", "tinyproxy", "tinyproxy")
	}
	address, log = mocktest.FreeAddress(t), filepath.Join(t.TempDir(), "log")
	host, port, _ := net.SplitHostPort(address)
	settings := filepath.Join(t.TempDir(), "tinyproxy.conf")
	text := fmt.Sprintf("Listen %s\nPort %s\nLogFile %q\nLogLevel Connect\nMaxClients 50\nTimeout 60\n%s\n", host, port, log, more)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-d", "-c", settings)
	if err := cmd.Start(); err != nil {
		t.Fatalf("there is no tinyproxy to test with: %v: run `make test-tools`", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "the proxy listens", func() bool {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
	return address, log
}

// TestTinyproxy: upstreams behind a real proxy, by CONNECT with TLS inside, of which it sees the name alone, and
// plain.
func TestTinyproxy(t *testing.T) {
	t.Parallel()
	address, log := tinyproxy(t, "")
	plain, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	secure, ca, _ := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%[1]s]}]
upstreams:
  - {name: plain, url: %[2]q, keys: [%[3]s], proxy: "http://%[4]s"}
  - {name: secure, url: %[5]q, keys: [%[3]s], proxy: "http://%[4]s", ca_file: %[6]q}
routes: [{prefix: /plain, upstream: plain}, {prefix: /secure, upstream: secure}]
`, clientKey, plain, upstreamKey, address, secure, ca))
	for _, path := range []string{"/plain", "/secure"} {
		r := chat(20, "5ms")
		r.path = path + r.path
		if got := (side{g.url, clientKey}).do(t, r); got.Status != http.StatusOK || !strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CONNECT " + strings.TrimPrefix(secure, "https://"), "POST " + plain + "/v1/chat/completions"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the proxy says\n%s, want %q among it", said, want)
		}
	}
}

// TestTinyproxyTells: a proxy that wants a password is reached by way of one that tells it.
func TestTinyproxyTells(t *testing.T) {
	t.Parallel()
	wants, log := tinyproxy(t, "BasicAuth user password")
	tells, _ := tinyproxy(t, "Upstream http user:password@"+wants)
	url, ca, _ := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}})
	gateway := start(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: told, url: %[2]q, keys: [%[3]s], proxy: "http://%[4]s", ca_file: %[6]q}
  - {name: untold, url: %[2]q, keys: [%[3]s], proxy: "http://%[5]s", ca_file: %[6]q}
routes: [{prefix: /told, upstream: told}, {prefix: /untold, upstream: untold}]
`, clientKey, url, upstreamKey, tells, wants, ca))
	got := (side{gateway, clientKey}).do(t, request{method: http.MethodGet, path: "/told/echo"})
	if said, err := os.ReadFile(log); got.Status != http.StatusOK || !strings.Contains(string(said), "CONNECT "+strings.TrimPrefix(url, "https://")) {
		t.Errorf("%d %s; the proxy says\n%s%v", got.Status, got.Body, said, err)
	}
	if got := (side{gateway, clientKey}).do(t, request{method: http.MethodGet, path: "/untold/echo"}); got.Status != http.StatusServiceUnavailable {
		t.Errorf("without the password: %d %s", got.Status, got.Body)
	}
}
