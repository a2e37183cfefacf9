package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"

	"tollgate/bench/report"
	"tollgate/config"
	"tollgate/test/mock"
)

// TestTargets: names are what others are compared by, and each configuration is one that needs what its floor
// has.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", report.Peers, report.Scale} {
		list, err := suite(name)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{"": true}
		for _, target := range list {
			if names[target.name] {
				t.Errorf("suite %q: %s is there twice", name, target.name)
			}
			if !names[target.floor] || !names[target.beside] {
				t.Errorf("suite %q: %s comes before its floor %q or before %q", name, target.name, target.floor, target.beside)
			}
			names[target.name] = true
		}
	}
	if _, err := suite("pears"); err == nil || !strings.Contains(err.Error(), "pears") {
		t.Errorf("got %v, want an error that names the suite that there is not", err)
	}
}

// TestPolicies: each configuration loads, and needs what the mode of its floor has.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml string
		want mode
	}{
		"keys":       {keys("http://127.0.0.1:1"), mode{gate: true}},
		"limits":     {limits("http://127.0.0.1:1"), mode{gate: true}},
		"key-rests":  {twoKeys("http://127.0.0.1:1"), mode{gate: true}},
		"models":     {models("http://127.0.0.1:1"), mode{gate: true, body: true}},
		"tokens":     {tokens("http://127.0.0.1:1"), mode{gate: true, body: true, tap: true}},
		"cache":      {caching("")("http://127.0.0.1:1"), mode{gate: true, body: true, tap: true}},
		"everything": {everything("http://127.0.0.1:1"), mode{gate: true, body: true, tap: true}},
		"metrics":    {metrics("http://127.0.0.1:1"), mode{gate: true, tap: true}},
		"chat-log":   {chatLog("http://127.0.0.1:1"), mode{gate: true, tap: true}},
		"pace":       {pace("http://127.0.0.1:1"), mode{gate: true, response: true}},
		"exact":      {exact("http://127.0.0.1:1"), mode{gate: true, body: true, response: true}},
	} {
		c, err := config.Parse(name, []byte(test.yaml), os.LookupEnv)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		needs := c.Routes[0].Needs()
		got := mode{gate: needs.Gate, body: needs.Request != config.NoBody, response: needs.Response != config.NoBody, tap: needs.Tap}
		if got != test.want {
			t.Errorf("%s needs %+v, want %+v", name, got, test.want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ names, want string }{
		{"direct,bare", "direct bare"},
		{"direct", "direct bare"},
		{"tollgate/tokens", "bare floor/body-tap tollgate/tokens"},
		{"tollgate/k*", "bare floor/headers tollgate/keys tollgate/key-rests"},
	} {
		chosen, err := choose(targets(), test.names)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, target := range chosen {
			names = append(names, target.name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.names, got, test.want)
		}
	}
	if _, err := choose(targets(), "direct,drect"); err == nil || !strings.Contains(err.Error(), "drect") {
		t.Errorf("got %v, want an error that names the one that there is not", err)
	}
	if both := against(targets(), "old"); len(both) != len(targets())+strings.Count(namesOf(targets()), "tollgate/") {
		t.Errorf("against gives %s", namesOf(both))
	}
}

func namesOf(list []*target) string {
	var names []string
	for _, t := range list {
		names = append(names, t.name)
	}
	return strings.Join(names, " ")
}

// TestRequests: they are whole, all as long as each other, and differ except where they are to be the same.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]asking{"different": {}, "same": {same: true}, "spread": {routes: 100, clients: 1000}} {
		for _, request := range []func([]byte, int64) []byte{ask.answers(), ask.streams()} {
			first, second := string(request(nil, 7)), string(request([]byte("left over")[:0], 1234))
			if len(first) != len(second) || (first == second) != ask.same {
				t.Errorf("%s: two requests of %d and %d bytes, equal: %t", name, len(first), len(second), first == second)
			}
			_, body, _ := strings.Cut(second, "\r\n\r\n")
			var asked struct{ Messages []json.RawMessage }
			if err := json.Unmarshal([]byte(body), &asked); err != nil || len(asked.Messages) != 2 {
				t.Errorf("%s: the body is no chat: %v", name, err)
			}
		}
	}
}

// script is one stream of Envoy's.
type script struct {
	grpc.ServerStream

	messages []*extprocv3.ProcessingRequest
	answers  int
}

func (s *script) Context() context.Context { return context.Background() }

func (s *script) Recv() (*extprocv3.ProcessingRequest, error) {
	if len(s.messages) == 0 {
		return nil, io.EOF
	}
	next := s.messages[0]
	s.messages = s.messages[1:]
	return next, nil
}

func (s *script) Send(*extprocv3.ProcessingResponse) error {
	s.answers++
	return nil
}

// TestPeersGetTheirConfiguration: what stands in a peer's files and environment is about the upstream, and its
// clients show a key.
func TestPeersGetTheirConfiguration(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*stage, string) recipe{"openai-forward": openaiForward, "litellm": litellm, "portkey": portkey} {
		r := of(&stage{upstream: "127.0.0.1:4711"}, "4712")
		told := strings.Join(r.env, " ") + r.headers
		for _, text := range r.files {
			told += text
		}
		if !strings.Contains(told, "127.0.0.1:4711") || !strings.Contains(strings.Join(r.args, " "), "4712") || r.key == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestUpstreamTakesOrdersFromTheBody: answers of many events for a stream, else of many words.
func TestUpstreamTakesOrdersFromTheBody(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(ordered(mock.New(mock.Options{})))
	t.Cleanup(upstream.Close)
	for fields, events := range map[string]int{"": 0, `"stream": true,`: eventsEach + 3} {
		body := `{` + fields + `"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}`
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, upstream.URL+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := upstream.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if got := strings.Count(string(answer), "data: "); err != nil || got != events || len(answer) < 1000 {
			t.Errorf("%q: %d events in %d bytes, want %d (%v)", fields, got, len(answer), events, err)
		}
	}
}

// TestNoopEndsEarly: the processor of the floors answers each message of a gate and none of a tap, and ends
// with the last that is of use. A message too many in each script shows whether it does.
func TestNoopEndsEarly(t *testing.T) {
	t.Parallel()
	const none, duplex = filterv3.ProcessingMode_NONE, filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	head := func(request, response filterv3.ProcessingMode_BodySendMode) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{
			Request:        &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{}},
			ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: request, ResponseBodyMode: response},
		}
	}
	asked := func(last bool) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{EndOfStream: last}}}
	}
	status := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{}}}
	answered := func(last bool) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{EndOfStream: last}}}
	}
	tap := &extprocv3.ProcessingRequest{ObservabilityMode: true, Request: head(none, none).GetRequest()}
	copied := &extprocv3.ProcessingRequest{ObservabilityMode: true, Request: answered(true).GetRequest()}
	for name, test := range map[string]struct {
		messages []*extprocv3.ProcessingRequest
		answers  int
	}{
		"headers":       {[]*extprocv3.ProcessingRequest{head(none, none)}, 1},
		"body":          {[]*extprocv3.ProcessingRequest{head(duplex, none), asked(false), asked(true)}, 3},
		"response":      {[]*extprocv3.ProcessingRequest{head(none, duplex), status, answered(false), answered(true)}, 4},
		"body-response": {[]*extprocv3.ProcessingRequest{head(duplex, duplex), asked(true), status, answered(true)}, 4},
		"tap":           {[]*extprocv3.ProcessingRequest{tap, copied}, 0},
	} {
		s := &script{messages: append(test.messages, status)}
		if err := (noop{}).Process(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.messages) != 1 || s.answers != test.answers {
			t.Errorf("%s: %d answers, and %d messages left, want %d and 1", name, s.answers, len(s.messages), test.answers)
		}
	}
}

// TestEnvoyAccepts has the real Envoy check each floor's configuration.
func TestEnvoyAccepts(t *testing.T) {
	t.Parallel()
	program := os.Getenv("ENVOY_PATH")
	if program == "" {
		t.Fatal("ENVOY_PATH is not set: run the tests by make test")
	}
	c, err := config.Parse("test", []byte("upstreams: [{name: mock, url: 'http://127.0.0.1:1'}]\nroutes: [{prefix: /, upstream: mock}]\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]mode{
		"bare": {}, "headers": {gate: true}, "body-tap": {gate: true, body: true, tap: true},
		"tap": {gate: true, tap: true}, "body-response": {gate: true, body: true, response: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := staticEnvoy(c, "/tmp/gate.sock", "/tmp/admin.sock", m)
			if err != nil {
				t.Fatal(err)
			}
			if regexp.MustCompile(`"tollgate\.(gate|lock|tap)"`).Match(text) {
				t.Error("one of Tollgate's own filters is left")
			}
			file := filepath.Join(t.TempDir(), "envoy.json")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), program, "--mode", "validate", "-l", "warning", "-c", file).CombinedOutput()
			if err != nil {
				t.Errorf("Envoy says: %v\n%s", err, out)
			}
		})
	}
}

// TestSmoke runs the command for a moment: every target answers, and who has processes uses CPU time.
func TestSmoke(t *testing.T) {
	t.Parallel()
	tollgate := os.Getenv("TOLLGATE_BIN")
	if tollgate == "" {
		tollgate = filepath.Join("..", "bin", "tollgate")
	}
	dir := t.TempDir()
	program, found := filepath.Join(dir, "bench"), filepath.Join(dir, "results.json")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-rounds", "1", "-seconds", "0.2", "-tollgate", tollgate,
		"-targets", "direct,floor/body-tap,tollgate/pace,tollgate/everything", "-json", found).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	var results report.Run
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}
	if want := 6 * 3; len(results.Samples) != want {
		t.Errorf("%d samples, want %d", len(results.Samples), want)
	}
	told := 0
	for _, s := range results.Samples {
		if s.LeftOut <= s.Requests/2 { // this machine may be slow at any time
			told++
		}
		hasEnvoy, hasGo := s.Target != direct, s.Target != direct && s.Target != bare
		if s.Requests == 0 || (s.Events > 0) != (s.Load == report.Streams) || (s.EnvoyCPU > 0) != hasEnvoy || (s.GoCPU > 0) != hasGo {
			t.Errorf("%+v makes no sense", s)
		}
	}
	if len(results.Summary) != told {
		t.Errorf("%d summaries, want %d", len(results.Summary), told)
	}
}
