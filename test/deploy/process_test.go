package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const within = 30 * time.Second

// program is the tollgate to test.
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

// envoy is a real Envoy.
func envoy(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ENVOY_PATH")
	if path == "" {
		t.Fatal("ENVOY_PATH names no Envoy: `make test-deploy` sets it")
	}
	return path
}

// start runs a program until the test ends, and shows what it said if that failed.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), said)
		}
	})
}

// output collects what a process says, while a test may read it.
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

// mock is an upstream that accepts one key.
func mock(t *testing.T, key string) (url string) {
	t.Helper()
	address := freeAddress(t)
	start(t, exec.Command(program(t), "mock", "--listen", address, "--key", key))
	eventually(t, "the mock listens", func() error {
		_, err := ask(t.Context(), "http://"+address+"/v1/models", key)
		return err
	})
	return "http://" + address
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

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// chat is a request body.
const chat = `{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}`

// ask gets a URL, with a key if one is given.
func ask(ctx context.Context, url, key string) (*answer, error) {
	return call(ctx, http.MethodGet, url, key, "")
}

// call sends a request, with a key and a body if they are given, and more headers, each followed by its value.
func call(ctx context.Context, method, url, key, body string, headers ...string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{response.StatusCode, response.Header, string(text)}, nil
}

// wantStatus asks for a chat, and wants an answer with a status.
func wantStatus(t *testing.T, url, key string, status int) *answer {
	t.Helper()
	got, err := call(t.Context(), http.MethodPost, url+"/v1/chat/completions", key, chat)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != status {
		t.Fatalf("with the key %q: status %d, want %d: %s", key, got.status, status, got.body)
	}
	return got
}

// eventually tries until there is no error.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.After(within)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s: %v", within, what, err)
		case <-again.C:
		}
	}
}

// succeeds runs a command that must end well.
func succeeds(ctx context.Context, cmd ...string) error {
	said, err := exec.CommandContext(ctx, cmd[0], cmd[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd, " "), err, said)
	}
	return nil
}
