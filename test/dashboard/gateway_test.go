package dashboard

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	aliceKey = "fk-alice-0123456789"
	bobKey   = "fk-bob-0123456789"
	realKey  = "sk-real-0123456789"
	token    = "SENTINEL-token-0123456789"
)

// gateway is a `tollgate run` in front of a `tollgate mock`.
type gateway struct {
	t     *testing.T
	dir   string
	url   string // for clients
	admin string // host:port for operators
}

// configuration has two clients, prices, limits, a cache and a chat log. More goes into admin.
func configuration(upstream, listen, admin, more string) string {
	return fmt.Sprintf(`
listener: {address: %q}
admin: {address: %q, recent_chats: 100%s}
prices: [{model: gpt-4o, input: 2.50, output: 10.00}]
clients:
  - {name: alice, keys: [%s], limits: [{requests: 5/day}, {cost: 20 USD/month}]}
  - {name: bob, keys: [%s]}
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes:
  - {prefix: /, upstream: openai, cache: {scope: route, collapse: false, opt_in: true}}
  - {prefix: /quiet, upstream: openai, log: false}
chat_log: {}
telemetry: {usage: true}
`, listen, admin, more, aliceKey, bobKey, upstream, realKey)
}

// start runs a gateway, with more in its admin section.
func start(t *testing.T, more string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), admin: freeAddress(t)}
	listen, upstream := freeAddress(t), freeAddress(t)
	g.url = "http://" + listen
	g.write(configuration("http://"+upstream, listen, g.admin, more))
	run(t, g.dir, "mock", "--listen", upstream, "--key", realKey)
	run(t, g.dir, "run")
	eventually(t, "tollgate is ready", func() bool {
		response, err := http.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	})
	return g
}

func (g *gateway) write(yaml string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "tollgate.yaml"), []byte(yaml), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// run starts the program, which is stopped when the test ends.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Dir = dir
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("tollgate %s said:\n%s", args[0], said)
		}
	})
}

func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TOLLGATE_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "tollgate")
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(absolute)
	}
	if err != nil {
		t.Fatalf("there is no tollgate to test: %v: run `make build`, or set TOLLGATE_BIN", err)
	}
	return absolute
}

type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); !is(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// ask sends a request, and gives the status and the body. Headers are NAME: VALUE.
func ask(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

// chat asks for a chat as a client.
func (g *gateway) chat(key, prefix, members string, headers ...string) (int, string) {
	g.t.Helper()
	body := fmt.Sprintf(`{"model":"gpt-4o","max_tokens":50,%s"messages":[{"role":"user","content":"one two three four"}]}`, members)
	return ask(g.t, http.MethodPost, g.url+prefix+"v1/chat/completions", body, append(headers, "authorization: Bearer "+key, "content-type: application/json")...)
}
