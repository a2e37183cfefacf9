package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// flow is a streamed chat that stands still until the test lets it go on.
type flow struct {
	ctx      context.Context
	upstream *mock.Server
	step     string
	response *http.Response
	first    []byte
}

// openFlow begins a streamed chat and reads its first bytes.
func openFlow(t *testing.T, s side, upstream *mock.Server, question string) *flow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	f := &flow{ctx: ctx, upstream: upstream, step: "flow " + question, first: make([]byte, 1)}
	f.response = s.send(ctx, t, request{
		method: http.MethodPost, path: "/v1/chat/completions",
		body:    strings.NewReader(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"` + question + `"}]}`),
		headers: []header{{"content-type", "application/json"}, {"mock-step", f.step}, {"mock-events", "20"}},
	})
	if err := upstream.Step(ctx, f.step); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(f.response.Body, f.first); err != nil || f.response.StatusCode != http.StatusOK {
		t.Fatalf("the stream begins with %s, %v", f.response.Status, err)
	}
	return f
}

// rest lets the stream go on, and wants it whole.
func (f *flow) rest(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	go func() {
		for f.upstream.Step(ctx, f.step) == nil { // until the stream has ended
		}
	}()
	body, err := io.ReadAll(f.response.Body)
	if err != nil || !strings.HasPrefix(string(f.first)+string(body), "data: {") || !strings.HasSuffix(string(body), "[DONE]\n\n") {
		t.Errorf("the stream went on with %d bytes, and then %v", len(body), err)
	}
}

// cut wants the stream to break, and not to end as if it were whole.
func (f *flow) cut(t *testing.T) {
	t.Helper()
	if body, err := io.ReadAll(f.response.Body); err == nil {
		t.Errorf("a stream that was cut ends as if it were whole, after %q", body)
	}
}

// terminate sends SIGTERM.
func (g *gateway) terminate(t *testing.T) {
	t.Helper()
	if err := g.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// awaitEnd wants the gateway to end well.
func (g *gateway) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-g.died:
		g.ended = true
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// TestDrain: at SIGTERM no connection is taken any more, one that is open already has its next answer as
// its last, a stream under way ends by itself, whole and recorded, and then all is over.
func TestDrain(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"chat_log: {}\n")
	kept := keepConnection(t, g.url)
	f := openFlow(t, side{g.url, clientKey}, upstream, "drained")
	children := []int{g.child(t, "serve"), g.child(t, "envoy")}

	g.terminate(t)
	eventually(t, "new connections are refused", func() bool {
		response, err := newClient(t).Get(g.url + "/healthz")
		if err == nil {
			_ = response.Body.Close()
		}
		return err != nil
	})
	if got := kept(); got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("a connection that was open got %s, and stays open: %v", got.Status, !got.Close)
	}
	if got := statusOf(t, g.admin+"/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d while it drains", got)
	}
	f.rest(t)
	g.awaitEnd(t)
	questions, answers := g.chats(t)
	if a, ok := answers[questions["drained"].UID]; !ok || a.Cause != "" || a.Assistant == "" {
		t.Errorf("the stream's record is %+v", a)
	}
	for _, pid := range children {
		if !gone(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

// keepConnection opens a connection by a first request, and returns a function that sends the next on it.
func keepConnection(t *testing.T, url string) (next func() *http.Response) {
	t.Helper()
	client := newClient(t)
	next = func() *http.Response {
		response, err := client.Get(url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return response
	}
	next()
	return next
}

// statusOf is how a GET is answered.
func statusOf(t *testing.T, url string) int {
	t.Helper()
	response, err := newClient(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}

// TestDrainHasAnEnd: what is still under way when the time is over, or at a second signal, is cut, recorded
// as cut, and the exit is a good one.
func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		drain string
		hurry bool
		why   string
	}{
		"time":          {"500ms", false, "500ms are over"},
		"second signal": {"1h", true, "a second signal came"},
		"none":          {"0s", false, "0s are over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
			g := newGateway(t)
			g.write(t, "tollgate.yaml", g.addresses+oneRoute(url)+"chat_log: {}\n")
			g.args = []string{"run", "--drain", test.drain}
			g.start(t)
			f := openFlow(t, side{g.url, clientKey}, upstream, "cut")
			g.terminate(t)
			g.await(t, "draining: no more connections", 1)
			if test.hurry {
				g.terminate(t)
			}
			f.cut(t)
			g.awaitEnd(t)
			if !strings.Contains(g.output.String(), test.why) {
				t.Errorf("the log does not say %q", test.why)
			}
			questions, answers := g.chats(t)
			if a := answers[questions["cut"].UID]; a.Cause != "cut" {
				t.Errorf("the record is %+v", a)
			}
		})
	}
}

// TestServeDies: killed outright, it leaves streams alone; requests are refused, for less than a second, with
// the time after which to come back.
func TestServeDies(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, tapped(url))
	through := side{g.url, clientKey}
	f := openFlow(t, through, upstream, "untouched")
	killed := time.Now()
	if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	refused := 0
	eventually(t, "requests pass again", func() bool {
		got := through.do(t, request{method: http.MethodGet, path: "/echo"})
		if got.Status == http.StatusOK {
			return refused > 0
		}
		refused++
		got.isError(t, http.StatusServiceUnavailable, "gate_unavailable", "Envoy")
		if got.Header.Get("retry-after") != "1" {
			t.Errorf("retry-after is %q", got.Header.Get("retry-after"))
		}
		return false
	})
	t.Logf("serving again after %s; %d requests were refused", time.Since(killed), refused)
	f.rest(t)
}

// TestEnvoyDies: killed outright, it comes back with the configuration that it had.
func TestEnvoyDies(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url))
	g.edit(t, strings.Replace(oneRoute(url), "upstream: openai}", "upstream: openai}, {prefix: /edited, upstream: openai}", 1), false)
	g.await(t, "a new configuration is in force", 1)
	f := openFlow(t, side{g.url, clientKey}, upstream, "lost")
	killed := time.Now()
	if err := syscall.Kill(g.child(t, "envoy"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.cut(t)
	eventually(t, "requests pass again", func() bool {
		response, err := newClient(t).Get(g.url + "/healthz")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	t.Logf("serving again after %s", time.Since(killed))
	if got := (side{g.url, clientKey}).do(t, request{method: http.MethodGet, path: "/edited/echo"}); got.Status != http.StatusOK {
		t.Errorf("the route that an edit had made answers %d %s", got.Status, got.Body)
	}
}

// TestEnvoyCrashes: what Envoy says of its end is in the log.
func TestEnvoyCrashes(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url))
	if err := syscall.Kill(g.child(t, "envoy"), syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	g.await(t, "Caught Aborted", 1)
	g.await(t, "a process died; starting it again", 1)
}

// TestSecondInTheWay: what another tollgate has is named, whatever it is, and the first goes on.
func TestSecondInTheWay(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	first := newGateway(t)
	stores := "cache: {ttl: 1h}\ncache_store: {dir: cache}\n"
	first.write(t, "tollgate.yaml", first.addresses+oneRoute(url)+stores)
	first.args = []string{"run"}
	first.start(t)

	other := newGateway(t)
	other.dir = first.dir
	for name, test := range map[string]struct{ yaml, want string }{
		"clients' port":   {strings.Replace(other.addresses, portOf(other.url), portOf(first.url), 1), "the port for clients cannot be had"},
		"operators' port": {strings.Replace(other.addresses, portOf(other.admin), portOf(first.admin), 1), "the port for operators cannot be had"},
		"cache":           {other.addresses + stores, "another process keeps its cache in cache"},
	} {
		t.Run(name, func(t *testing.T) {
			first.write(t, "second.yaml", test.yaml+oneRoute(url))
			other.args = []string{"run", "--config", "second.yaml"}
			out, err := other.command(t).CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("the second ended with %v and said %s", err, out)
			}
		})
	}
	if got := (side{first.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"}); got.Status != http.StatusOK {
		t.Errorf("the first answers %d %s", got.Status, got.Body)
	}
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
