package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	root    = "../.."
	project = "tollgate-test"
	realKey = "sk-real-0123456789"
	teamKey = "fk-team-0123456789"
	within  = 2 * time.Minute
)

// stack is what `docker compose up` started.
type stack struct {
	*docker

	config   string // the directory with tollgate.yaml
	override string
	port     string
	mock     string // host:port
	metrics  string

	oneclickPort string
}

// prepare writes what a user would, and the mock beside it.
func (s *stack) prepare() {
	s.t.Helper()
	s.config, s.override = filepath.Join(s.dir, "etc"), filepath.Join(s.dir, "override.yml")
	// Nobody but the containers' user need read it, but that user has another number.
	if err := os.Mkdir(s.config, 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.configure(teamKey, "")
	override := fmt.Sprintf(`
services:
  tollgate:
    build: {network: none}     # what it needs is in the image of Go
  mock:
    image: %[1]s-tollgate
    pull_policy: never
    depends_on: [tollgate]
    entrypoint: [tollgate, mock, --listen, "0.0.0.0:8080", --key, %[2]s]
    ports: ["%[3]s:8080"]
  oneclick:
    profiles: [oneclick]
    build: {context: ., dockerfile: deploy/oneclick/Dockerfile, network: none}
    environment: {OPENAI_BASE_URL: "http://mock:8080", OPENAI_API_KEY: %[2]s, FORWARD_KEY: %[4]s, PORT: "9000"}
    ports: ["127.0.0.1:%[5]s:9000"]
`, project, realKey, s.mock, teamKey, s.oneclickPort)
	if err := os.WriteFile(s.override, []byte(override), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "TOLLGATE_CONFIG="+s.config, "TOLLGATE_PORT="+s.port, "PROMETHEUS_PORT="+s.metrics)
}

// configure writes tollgate.yaml as editors do: beside the old one, and in its place.
func (s *stack) configure(key, more string) {
	s.t.Helper()
	text := fmt.Sprintf(`
clients: [{name: team, keys: [%s]}]
upstreams: [{name: openai, url: "http://mock:8080", keys: [%s]}]
routes: [{prefix: /, upstream: openai}]
telemetry: {usage: true, access_log: /dev/stdout}
admin: {address: "0.0.0.0:8001", metrics_only: true}
%s`, key, realKey, more)
	file := filepath.Join(s.config, "tollgate.yaml")
	if err := os.WriteFile(file+"~", []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		s.t.Fatal(err)
	}
}

// compose runs docker compose.
func (s *stack) compose(args ...string) string {
	s.t.Helper()
	return s.run(append([]string{
		"compose", "--project-name", project,
		"--file", filepath.Join(root, "docker-compose.yml"), "--file", s.override,
	}, args...)...)
}

// query asks Prometheus.
func (s *stack) query(ctx context.Context, question string) ([]any, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+s.metrics+"/api/v1/query?query="+url.QueryEscape(question), nil)
	if err != nil {
		return nil, err
	}
	status, body, err := send(request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct{ Result []any } `json:"data"`
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", status, body)
	}
	return answer.Data.Result, json.Unmarshal([]byte(body), &answer)
}

// want asks, and wants an answer with a status.
func (s *stack) want(t *testing.T, key string, want int) (body string) {
	t.Helper()
	status, body, err := s.ask(t.Context(), key)
	if err != nil || status != want {
		t.Fatalf("status %d, want %d: %v: %s", status, want, err, body)
	}
	return body
}

// eventually waits until a key opens.
func (s *stack) eventually(t *testing.T, key string) {
	t.Helper()
	s.poll(t, key+" opens", func() error {
		status, body, err := s.ask(t.Context(), key)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	})
}

// poll tries until there is no error.
func (s *stack) poll(t *testing.T, what string, try func() error) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(within)
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

// ask sends a chat through the gateway.
func (s *stack) ask(ctx context.Context, key string) (status int, body string, err error) {
	return chat(ctx, s.port, key)
}

// chat sends one to a port.
func chat(ctx context.Context, port, key string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+port+"/v1/chat/completions",
		strings.NewReader(`{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}`))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return send(request)
}

func send(request *http.Request) (status int, body string, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
