package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tollgate/config"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// takeOver has a new serve take over, and waits until it has.
func (g *gateway) takeOver(t *testing.T, times int) {
	t.Helper()
	if err := g.process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	g.await(t, "another process has taken over", times)
}

// TestTakeover: new processes take over from old ones under load, again and again. No request is refused or
// broken, streams from before end whole, every chat is recorded, and limits go on counting where they were.
func TestTakeover(t *testing.T) {
	t.Parallel()
	const takeovers, each = 6, 5
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"chat_log: {}\ncache_store: {dir: cache}\ntelemetry: {usage: true}\n"+
		fmt.Sprintf("limits: [{requests: %d/hour, path: /limited, per: client}]\n", takeovers*each))
	through := side{g.url, clientKey}
	l := startLoad(t, g.url+"/echo", 4)
	var flows []*flow
	var asked []string // while processes change
	over := make(chan struct{})
	var chats sync.WaitGroup
	chats.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
			}
			asked = append(asked, fmt.Sprintf("chat %d", i))
			if got := through.ask(t, asked[i], i%2 == 0); got.Status != http.StatusOK || got.Err != "" {
				t.Errorf("chat %d: %d %s %s", i, got.Status, got.Body, got.Err)
			}
		}
	})
	for i := range takeovers {
		flows = append(flows, openFlow(t, through, upstream, fmt.Sprintf("stream %d", i)))
		for range each {
			if got := through.do(t, request{method: http.MethodGet, path: "/limited"}); got.Status == http.StatusTooManyRequests {
				t.Errorf("before takeover %d: %s", i, got.Body)
			}
		}
		g.takeOver(t, i+1)
	}
	close(over)
	chats.Wait()
	l.end(t, 100)
	if got := through.do(t, request{method: http.MethodGet, path: "/limited"}); got.Status != http.StatusTooManyRequests {
		t.Errorf("a request more than the limit has is answered %d: counts were lost", got.Status)
	}
	for i, f := range flows {
		f.rest(t)
		asked = append(asked, fmt.Sprintf("stream %d", i))
	}
	eventually(t, "all chats are recorded", func() bool {
		questions, answers := g.chats(t)
		return !slices.ContainsFunc(asked, func(question string) bool {
			a, ok := answers[questions[question].UID]
			return !ok || a.Cause != "" || a.Assistant == ""
		})
	})
	eventually(t, "the old processes have ended", func() bool { return len(g.serving()) == 1 })
	for _, wrong := range []string{"gRPC error", "cannot", "went wrong", "given up", "died"} {
		if strings.Contains(g.output.String(), wrong) {
			t.Errorf("the log says that something is wrong: %q", wrong)
		}
	}
}

// TestTakeoverKeepsRests: a key that rests does so in the new process.
func TestTakeoverKeepsRests(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{keyA, keyB}})
	g := launch(t, twoKeys(url, ""))
	through := side{g.url, clientKey}
	through.do(t, turnedDown(keyA, "429", header{"mock-header", "retry-after: 3000"}))
	rests := `tollgate_upstream_key_rest_seconds{key="` + config.NewSecret(keyA).Fingerprint() + `",upstream="openai"} 2`
	eventually(t, "the key rests", func() bool { return strings.Contains(g.get(t, g.admin+"/metrics", nil), rests) })
	g.takeOver(t, 1)
	if got := g.get(t, g.admin+"/metrics", nil); !strings.Contains(got, rests) {
		t.Errorf("in the new process it does not rest: %s", got)
	}
	for range 3 {
		through.do(t, chat(1, "1ms"))
	}
	if got := keysOf(upstream); got != "abbbb" {
		t.Errorf("the keys' turns are %s", got)
	}
}

// TestTakeoverThatFails: a new process that cannot serve changes nothing.
func TestTakeoverThatFails(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"cache_store: {dir: cache}\n")
	l := startLoad(t, g.url+"/echo", 2)
	g.edit(t, "no: configuration\n", false)
	if err := g.process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	g.await(t, "the new process cannot take over; the one before goes on", 1)

	// This one fails after the old one has yielded: there is no room to listen for operators.
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", mocktest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	g.write(t, "tollgate.yaml", strings.Replace(g.addresses, portOf(g.admin), portOf(taken.Addr().String()), 1)+oneRoute(url)+"cache_store: {dir: cache}\n")
	if err := g.process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	g.await(t, "the other process did not get so far as to take over; this one goes on", 1)
	g.await(t, "the new process cannot take over; the one before goes on", 2)
	eventually(t, "operators are answered again", func() bool {
		response, err := newClient(t).Get(g.admin + "/readyz")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	if got := g.get(t, g.admin+"/cache", nil); !strings.Contains(got, "entries") {
		t.Errorf("the cache is not there again: %s", got)
	}
	l.end(t, 10)
}

// TestTakeoverByAnother: a serve of one's own is replaced by another, with another configuration, under load.
func TestTakeoverByAnother(t *testing.T) {
	t.Parallel()
	first, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	second, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	h := launchHalves(t, oneRoute(first)+"telemetry: {usage: true}\npace: [{events: 1000/second}]\n")
	l := startLoad(t, h.url+"/echo", 4)
	f := openFlow(t, side{h.url, clientKey}, upstream, "before")
	next := &gateway{
		url: h.url, admin: h.admin, dir: h.dir, output: h.output, died: make(chan error, 1),
		args: append([]string{"serve", "--config", "next.yaml", "--take-over"}, h.args[1:]...),
	}
	h.write(t, "next.yaml", h.addresses+strings.Replace(oneRoute(second), "routes: [", "routes: [{prefix: /new, upstream: openai}, ", 1))
	next.start(t)
	eventually(t, "the new configuration is in force", func() bool {
		got := side{h.url, clientKey}.do(t, request{method: http.MethodGet, path: "/new/echo"})
		return got.Status == http.StatusOK && strings.Contains(got.Body, `"uri":"/echo"`)
	})
	f.rest(t)
	h.awaitEnd(t)
	l.end(t, 100)
	if strings.Contains(h.output.String(), "gRPC error") {
		t.Error("Envoy lost a stream to serve")
	}
}
