package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// peers are what else stands before an API of OpenAI's kind, beside Tollgate with the same task: a client's key
// is known and swapped for the upstream's, and the answer goes back, in one piece and as a stream. All run with one
// worker. What is asked for is the way that their documentation shows first.
func peers() []*target {
	return []*target{
		{name: bare, what: "Envoy with Tollgate's options and without its filters", start: startFloor(mode{})},
		beside(row("keys", "", "keys", keys)),
		beside(row("metrics", "", "keys; tokens are counted", metrics)),
		peer("openai-forward", "PyPI; keys. Tokens are not counted", openaiForward),
		peer("litellm", "PyPI; the master key. Tokens are counted and priced", litellm),
		peer("portkey", "npm, @portkey-ai/gateway; the client brings the upstream's key itself", portkey),
	}
}

// pivot is the target that those of `make bench-peers` are compared with.
const pivot = "tollgate/keys"

func beside(t *target) *target {
	if t.floor = ""; t.name != pivot {
		t.beside = pivot
	}
	return t
}

// recipe is how a peer is started: its files, its program and its command line, and what clients send.
type recipe struct {
	files   map[string]string
	program string // below the directory of the peers
	args    []string
	env     []string
	ready   string // a path that it answers with 200 once it is ready
	key     string // what clients show
	headers string
}

func peer(name, what string, of func(s *stage, port string) recipe) *target {
	return &target{name: "peer/" + name, what: what, beside: pivot, start: func(ctx context.Context, s *stage, t *target) (*running, error) {
		address, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("finding a port for %s: %w", t.name, err)
		}
		how := of(s, port)
		t.ask.key, t.ask.headers = how.key, how.headers
		return startPeer(ctx, s, t, address, how)
	}}
}

// startPeer starts one in a directory of its own. It gets nothing of this program's environment but where programs
// are.
func startPeer(ctx context.Context, s *stage, t *target, address string, r recipe) (*running, error) {
	program := filepath.Join(s.peers, r.program)
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%s is not there: %w\nhint: `make bench-peers` gets it", t.name, err)
	}
	dir := filepath.Join(s.dir, strings.ReplaceAll(t.name, "/", "-"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory for %s: %w", t.name, err)
	}
	for name, text := range r.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configuring %s: %w", t.name, err)
		}
	}
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, r.env...)
	p, err := s.launch(ctx, filepath.Join(dir, "log"), env, program, r.args...)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, "http://"+address+r.ready); err != nil {
		return nil, err
	}
	all, err := family(p.pid)
	if err != nil {
		return nil, err
	}
	return &running{address: address, gos: all}, nil
}

func openaiForward(s *stage, port string) recipe {
	return recipe{
		program: "openai-forward/bin/openai-forward",
		args:    []string{"run", "--port", port},
		env: []string{
			fmt.Sprintf(`FORWARD_CONFIG=[{"base_url": "http://%s", "route": "/", "type": "openai"}]`, s.upstream),
			fmt.Sprintf(`FORWARD_KEY_CONFIG={%q: 0}`, clientKey(0)),
			`OPENAI_API_KEY_CONFIG={"sk-0": [0]}`,
		},
		ready: "/healthz",
		key:   clientKey(0),
	}
}

// litellm takes no key that does not begin with sk-.
func litellm(s *stage, port string) recipe {
	key := "sk-" + clientKey(0)
	return recipe{
		files: map[string]string{"config.yaml": fmt.Sprintf(`model_list:
  - model_name: gpt-4o-mini
    litellm_params: {model: openai/gpt-4o-mini, api_base: "http://%s/v1", api_key: sk-0}
general_settings: {master_key: %s}
`, s.upstream, key)},
		program: "litellm/bin/litellm",
		args:    []string{"--config", "config.yaml", "--host", "127.0.0.1", "--port", port, "--num_workers", "1", "--telemetry", "False"},
		env:     []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR"}, // the map of prices that it brings, not GitHub's
		ready:   "/health/readiness",
		key:     key,
	}
}

// portkey is told in headers where a request goes.
func portkey(s *stage, port string) recipe {
	return recipe{
		program: "portkey/node_modules/.bin/gateway",
		args:    []string{"--port=" + port, "--headless"},
		env:     []string{"TRUSTED_CUSTOM_HOSTS=127.0.0.1"},
		ready:   "/",
		key:     "sk-0",
		headers: fmt.Sprintf("x-portkey-provider: openai\r\nx-portkey-custom-host: http://%s/v1\r\n", s.upstream),
	}
}
