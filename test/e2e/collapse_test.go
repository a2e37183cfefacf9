package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestCollapse: 1,000 equal streams at once are one call of the upstream, and so are plain requests.
func TestCollapse(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			g, upstream := cached(t, "scope: route", "")
			const n = 1000
			var all sync.WaitGroup
			answers := make(chan seen, n)
			for range n {
				all.Go(func() {
					s := side{g.url, clientKey}
					answers <- s.do(t, post("/v1/chat/completions", question("all the same", stream),
						header{"mock-events", "40"}, header{"mock-interval", "50ms"}, header{"mock-delay", "2s"}))
				})
			}
			all.Wait()
			close(answers)
			var first *seen
			for got := range answers {
				if first == nil {
					first = &got
				}
				if got.Status != http.StatusOK || got.Err != "" || got.Body != first.Body || stream && !strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
					t.Fatalf("got %d %q, and as the body's end %q", got.Status, got.Body, got.Err)
				}
			}
			if asked := len(upstream.Requests()); asked != 1 {
				t.Errorf("the upstream was asked %d times", asked)
			}
		})
	}
}

// events reads a stream event by event.
func events(t *testing.T, response *http.Response) func() string {
	t.Helper()
	reader := bufio.NewReader(response.Body)
	return func() string {
		var event strings.Builder
		for {
			line, err := reader.ReadString('\n')
			event.WriteString(line)
			if err != nil || line == "\n" {
				return event.String()
			}
		}
	}
}

// TestCollapseFollows: who comes later gets the stream from its first event, and the next ones as they
// come; and when the one who made the call leaves, the others go on.
func TestCollapseFollows(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "scope: route", "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	send := func(ctx context.Context, key string) *http.Response {
		return side{g.url, key}.send(ctx, t, post("/v1/chat/completions", question("a", true), header{"mock-step", "follow"}, header{"mock-events", "5"}))
	}
	step := func() {
		if err := upstream.Step(ctx, "follow"); err != nil {
			t.Fatal(err)
		}
	}
	leaving, leave := context.WithCancel(ctx)
	started := make(chan *http.Response)
	go func() { started <- send(leaving, clientKey) }()
	step()
	leader := <-started
	first := events(t, leader)
	one := first()
	follower := send(ctx, bobsKey)
	if got := follower.Header.Get("cache-status"); got != "tollgate; fwd=uri-miss; collapsed" {
		t.Errorf("who follows is told %q", got)
	}
	next := events(t, follower)
	if got := next(); got != one {
		t.Errorf("the first event is %q for one and %q for the other", one, got)
	}
	step()
	if a, b := first(), next(); a != b || a == one {
		t.Errorf("the second event is %q for one and %q for the other", a, b)
	}
	leave()
	rest := ""
	stepping, enough := context.WithCancel(ctx)
	defer enough()
	go func() {
		for upstream.Step(stepping, "follow") == nil {
		}
	}()
	for event := next(); event != ""; event = next() {
		rest += event
	}
	if !strings.HasSuffix(rest, "data: [DONE]\n\n") {
		t.Errorf("once the one who made the call has left, the other gets %q", rest)
	}
	if asked := len(upstream.Requests()); asked != 1 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

// TestCollapseEndsWithTheLast: a call that nobody follows any more is given up.
func TestCollapseEndsWithTheLast(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "scope: route", "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var leaves []context.CancelFunc
	for _, key := range []string{clientKey, bobsKey} {
		leaving, leave := context.WithCancel(ctx)
		leaves = append(leaves, leave)
		response := side{g.url, key}.send(leaving, t, post("/v1/chat/completions", question("a", true), header{"mock-interval", "5ms"}, header{"mock-events", "100000"}))
		if _, err := response.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, leave := range leaves {
		leave()
	}
	if err := upstream.AwaitIdle(ctx); err != nil {
		t.Errorf("the upstream goes on: %v", err)
	}
	if asked := len(upstream.Requests()); asked != 1 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

// TestCollapseTakesOver: an upstream that fails the first call does not fail those who only followed.
func TestCollapseTakesOver(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]header{
		"no answer": {"mock-break", "reset"}, "an error": {"mock-status", "503"}, "a part": {"mock-break", "mid-body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, upstream := cached(t, "scope: route", "")
			var all sync.WaitGroup
			ask := func(headers ...header) seen {
				return side{g.url, clientKey}.do(t, post("/v1/chat/completions", question("a", false), append(headers, header{"mock-delay", "1s"})...))
			}
			all.Go(func() { ask(failure) })
			eventually(t, "the upstream is asked", func() bool { return len(upstream.Requests()) == 1 })
			const followers = 10
			for range followers {
				all.Go(func() {
					if got := ask(); got.Status != http.StatusOK {
						t.Errorf("who followed got %d %s", got.Status, got.Body)
					}
				})
			}
			all.Wait()
			if asked := len(upstream.Requests()); asked != 2 {
				t.Errorf("the upstream was asked %d times", asked)
			}
		})
	}
}

// TestCollapseIsSeenThrough: a shared call reaches the upstream as any other, and so does its answer the
// one who made it.
func TestCollapseIsSeenThrough(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	through := launch(t, oneRoute(url)+"cache: {}\n")
	around := launch(t, oneRoute(url)+"cache: {off: true}\n")
	for body, agent := range map[string]string{question("a", false): "", question("b", true): "agent", "{": "agent", `{"model":"m"}`: "agent"} {
		var got [2]seen
		var asked [2]mock.Request
		for i, g := range []*gateway{through, around} {
			got[i] = side{g.url, clientKey}.do(t, post("/v1/chat/completions?a=b", body,
				header{"openai-organization", "o"}, header{"user-agent", agent}, header{"x-a", "1"}, header{"x-a", "2"}, header{"forwarded", "for=1.2.3.4"},
				header{"accept-encoding", "identity"}, header{"mock-header", "x-b: 1"}, header{"mock-header", "x-b: 2"}))
			got[i].Header.Del("cache-status")
			got[i].Header["X-B"] = []string{strings.Join(got[i].Header["X-B"], ", ")}
			asked[i] = upstream.Requests()[len(upstream.Requests())-1]
		}
		if diff := cmp.Diff(asked[1], asked[0]); diff != "" {
			t.Errorf("the upstream sees something else:\n%s", diff)
		}
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("the client sees something else:\n%s", diff)
		}
	}
}

// TestCollapseOutlivesEnvoy: a new Envoy takes shared calls where the one before it died without a word.
func TestCollapseOutlivesEnvoy(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "scope: route", "")
	alice := side{g.url, clientKey}
	alice.do(t, post("/v1/chat/completions", question("before", false)))
	envoy, err := os.FindProcess(g.child(t, "envoy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := envoy.Kill(); err != nil {
		t.Fatal(err)
	}
	g.await(t, "an Envoy has connected", 2)
	if err := awaitReady(g.admin+"/readyz", g.died); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := alice.do(t, post("/v1/chat/completions", question("after", false), header{"mock-delay", "1s"})); got.Status != http.StatusOK {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		})
	}
	all.Wait()
	if asked := len(upstream.Requests()); asked != 2 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

// TestCollapseTriesAgain: a shared call is tried again as any other, with another key where one is turned down.
func TestCollapseTriesAgain(t *testing.T) {
	t.Parallel()
	const second = "sk-second-0123456789"
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{second}})
	for name, auth := range map[string]string{"everyone's": "open", "clients' own, too": "passthrough"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s, %s]}]
routes: [{prefix: /, upstream: openai, auth: %s, cache: {}}]
`, clientKey, url, upstreamKey, second, auth))
			for i := range 4 {
				got := side{g.url, clientKey}.do(t, post("/v1/chat/completions", question(fmt.Sprint(auth, i), true)))
				if got.Status != http.StatusOK {
					t.Errorf("got %d %s", got.Status, got.Body)
				}
			}
			if auth == "passthrough" {
				got := side{g.url, second}.do(t, post("/v1/chat/completions", question("own", true)))
				if got.Status != http.StatusOK {
					t.Errorf("with a key of one's own: got %d %s", got.Status, got.Body)
				}
			}
			for _, r := range upstream.Requests() {
				for name, values := range r.Header {
					if strings.HasPrefix(strings.ToLower(name), "tollgate") || strings.Contains(strings.Join(values, ""), clientKey) {
						t.Errorf("the upstream sees %s: %q", name, values)
					}
				}
			}
		})
	}
}
