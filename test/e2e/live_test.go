package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// load sends requests without a pause until its end, and counts what it gets.
type load struct {
	url    string
	want   []string // what each answer says
	client *http.Client
	ended  sync.WaitGroup

	mu       sync.Mutex
	good     int
	problems []string
	ending   bool
	atLeast  int // good ones that are wanted
}

// startLoad runs some clients, each with connections of its own, against a path. Each answer must say what is wanted,
// beside that the upstream has been shown its key.
func startLoad(t *testing.T, url string, clients int, want ...string) *load {
	t.Helper()
	l := &load{url: url, want: append(want, "Bearer "+upstreamKey), client: newClient(t)}
	for range clients {
		l.ended.Go(func() {
			for !l.over() {
				l.note(l.once(t))
			}
		})
	}
	return l
}

// once sends one request; its error says how it failed.
func (l *load) once(t *testing.T) error {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+clientKey)
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	lacks := func(said string) bool { return !strings.Contains(string(body), said) }
	if response.StatusCode != http.StatusOK || slices.ContainsFunc(l.want, lacks) {
		return fmt.Errorf("%s: %.300s", response.Status, body)
	}
	return nil
}

func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.good++
	} else if len(l.problems) < 10 {
		l.problems = append(l.problems, err.Error())
	}
}

// over tells whether the load is to end, and enough requests were sent.
func (l *load) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending && (l.good >= l.atLeast || len(l.problems) > 0)
}

// end stops the load once enough requests were sent to tell, and fails the test if one failed.
func (l *load) end(t *testing.T, atLeast int) {
	t.Helper()
	l.mu.Lock()
	l.ending, l.atLeast = true, atLeast
	l.mu.Unlock()
	l.ended.Wait()
	if len(l.problems) > 0 {
		t.Errorf("%d requests were answered well, and these were not: %q", l.good, l.problems)
	}
}

// edit replaces the configuration, in one step or by writing into the file as some editors do.
func (g *gateway) edit(t *testing.T, yaml string, inPlace bool) {
	t.Helper()
	path := filepath.Join(g.dir, "tollgate.yaml")
	target := path
	if !inPlace {
		target += ".new"
	}
	if err := os.WriteFile(target, []byte(g.addresses+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if inPlace {
		return
	}
	if err := os.Rename(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestEdits: 200 edits of the running configuration, upstreams, routes, clients and listener, reach
// Envoy without one failed request, and the last is what counts.
func TestEdits(t *testing.T) {
	t.Parallel()
	first, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	second, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(first))
	l := startLoad(t, g.url+"/echo", 4)
	addresses := g.addresses
	for i := range 200 {
		g.addresses = strings.Replace(addresses, "}\n", fmt.Sprintf(", idle_timeout: %dm}\n", 10+i/20), 1)
		g.edit(t, edition(i, first, second), i%2 == 0)
		if i%10 == 9 { // each edit overtakes the one before, but now and then all of it must arrive
			g.await(t, "a new configuration is in force", i/10+1)
		}
	}
	direct := side{g.url, clientKey}
	eventually(t, "the last edit's route answers", func() bool {
		return direct.do(t, request{method: http.MethodGet, path: "/r199/echo"}).Status == http.StatusOK
	})
	l.end(t, 100)
	if got := direct.do(t, request{method: http.MethodGet, path: "/r198/echo"}); strings.Contains(got.Body, `"/echo"`) {
		t.Errorf("a route that the last edit took away still leads there: %s", got.Body)
	}
}

// edition is the i-th edit: it changes the upstream, its settings, a route and a client.
func edition(i int, first, second string) string {
	upstream := first
	if i%3 == 0 {
		upstream = second
	}
	if i%5 == 0 {
		upstream = strings.Replace(upstream, "127.0.0.1", "localhost", 1)
	}
	return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}, {name: client-%d, keys: [fk-%d]}]
upstreams: [{name: up-%d, url: %q, keys: [%s], connect_timeout: %ds}]
routes: [{prefix: /, upstream: up-%d}, {prefix: /r%d, upstream: up-%d}]
`, clientKey, i, i, i%4, upstream, upstreamKey, 5+i%7, i%4, i, i%4)
}

// TestBadEdits: an edit that cannot be used changes nothing that runs, and the log says what is
// wrong: the loader's words, or Envoy's.
func TestBadEdits(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(upstream))
	l := startLoad(t, g.url+"/echo", 2)
	g.edit(t, strings.Replace(oneRoute(upstream), "prefix: /", "prefx: /", 1), false)
	g.await(t, `no such field; did you mean \"prefix\"?`, 1)

	// 192.0.2.1 is nobody's address: Envoy cannot listen there. The routes move all the same, to an upstream that
	// is another by its settings, and back.
	addresses := g.addresses
	for i := range 20 {
		g.addresses = strings.Replace(addresses, "127.0.0.1", "192.0.2.1", 1)
		g.edit(t, strings.Replace(oneRoute(upstream), "keys: [sk", fmt.Sprintf("connect_timeout: %ds, keys: [sk", 20+i), 1), false)
		g.await(t, "rejects the Listener", i+1)
	}
	g.await(t, "192.0.2.1", 1)

	g.addresses = addresses
	g.edit(t, oneRoute(upstream)+"ip: {deny: [198.51.100.0/24]}\n", false)
	g.await(t, "a new configuration is in force", 1)
	l.end(t, 10)
}

// TestEditsForTheNextStart: what an edit cannot bring into force is said by name, for as long as it differs from what
// the process has started with, and no longer.
func TestEditsForTheNextStart(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(upstream))
	const store, said = "limit_store: {redis: \"redis://127.0.0.1:1\"}\n", `"fields":["limit_store"]`
	for i, edit := range []struct {
		yaml    string
		pending int // how often it was said
	}{{store, 1}, {store + "ip: {deny: [198.51.100.0/24]}\n", 2}, {"ip: {deny: [198.51.100.0/24]}\n", 2}, {"", 2}} {
		g.edit(t, oneRoute(upstream)+edit.yaml, false)
		g.await(t, "a new configuration is in force", i+1)
		g.await(t, said, edit.pending)
	}
	if got := strings.Count(g.output.String(), said); got != 2 {
		t.Errorf("it was said %d times", got)
	}
	if got := (side{g.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"}); got.Status != http.StatusOK {
		t.Errorf("got %+v", got)
	}
}

// TestChildrenDie: whatever is killed comes back by itself, and while the gate is away requests are
// refused, not let through.
func TestChildrenDie(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url))
	through := side{g.url, clientKey}
	for i, name := range []string{"serve", "envoy"} {
		pid := g.child(t, name)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		g.await(t, "a process died; starting it again", i+1)
		eventually(t, "requests pass again", func() bool {
			response, err := newClient(t).Get(g.url + "/healthz")
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return through.do(t, request{method: http.MethodGet, path: "/echo"}).Status == http.StatusOK
		})
	}
	for _, r := range upstream.Requests() {
		if got := r.Header.Get("Authorization"); got != "Bearer "+upstreamKey {
			t.Errorf("the upstream saw %q", got)
		}
	}
}

// TestNoOrphans: when the supervisor is killed outright, its children go too.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{})
	g := launch(t, oneRoute(upstream))
	pids := []int{g.child(t, "serve"), g.child(t, "envoy")}
	g.kill(t)
	for _, pid := range pids {
		eventually(t, "the child is gone", func() bool { return gone(pid) })
	}
}

// TestTwoAtOnce: a second tollgate on the same ports says so and leaves the first alone.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(upstream))
	second := g.command(t)
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is another tollgate running?") {
		t.Errorf("the second ended with %v and said %s", err, out)
	}
	if got := (side{g.url, clientKey}).do(t, request{method: http.MethodGet, path: "/echo"}); got.Status != http.StatusOK {
		t.Errorf("the first answers %d %s", got.Status, got.Body)
	}
}

// eventually asks until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("%s waited in vain: %s", patience, what)
		case <-again.C:
		}
	}
}
