package chaos

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tollgate/test/limitcheck"
	"tollgate/test/mock/mocktest"
)

// patience bounds whatever must happen at last, on a machine that has much else to do.
const patience = time.Minute

// A world is a gateway and all that is around it, in one run.
type world struct {
	t         *testing.T
	plan      *Plan
	places    Places
	dir       string
	upstreams map[string]*upstream
	redis     *redis // nil: nothing is kept there
	gateway   *gateway
	calls     map[string]*Call
	clients   map[string]*http.Client // by where they send from, and their protocol
	probes    *http.Client
	targets   map[string]*sync.Mutex

	edit    int // the last good one; guarded by targets["configuration"]
	strange map[string]bool

	began    time.Time
	mu       sync.Mutex
	arrivals map[string][]*Arrival
	outcomes []*Outcome
	troubles []Trouble
	lost     float64 // lines of the chat log that the gateway said it had lost, of processes that are dead
	deaths   int     // of children that we killed
}

// newWorld starts everything.
func newWorld(t *testing.T, plan *Plan) *world {
	t.Helper()
	w := &world{
		t: t, plan: plan, dir: t.TempDir(), calls: map[string]*Call{}, upstreams: map[string]*upstream{},
		clients: map[string]*http.Client{}, targets: map[string]*sync.Mutex{}, strange: map[string]bool{},
		arrivals: map[string][]*Arrival{}, probes: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}},
	}
	t.Cleanup(w.probes.CloseIdleConnections)
	for _, list := range [][]*Call{plan.Warm, plan.Calls} {
		for _, c := range list {
			w.calls[c.Name] = c
		}
	}
	for _, e := range plan.Events {
		w.targets[e.Target()] = &sync.Mutex{}
	}
	w.places = Places{Listen: mocktest.FreeAddress(t), Admin: mocktest.FreeAddress(t), Upstreams: map[string]string{}}
	for _, name := range Upstreams() {
		w.upstreams[name] = newUpstream(w, name)
		w.places.Upstreams[name] = "http://" + w.upstreams[name].address
	}
	if plan.Limits != InMemory || plan.Cache == InRedis {
		w.redis = &redis{t: t, address: mocktest.FreeAddress(t), dir: t.TempDir()}
		w.redis.start()
		t.Cleanup(w.redis.kill)
		w.places.Redis = w.redis.address
	}
	w.write(plan.YAML(&w.places, 0))
	w.gateway = newGateway(t, w.dir, "http://"+w.places.Admin)
	w.gateway.start()
	w.began = time.Now()
	return w
}

// write replaces the configuration, in one step.
func (w *world) write(yaml string) {
	path := filepath.Join(w.dir, "tollgate.yaml")
	if err := os.WriteFile(path+".new", []byte(yaml), 0o600); err != nil {
		w.t.Error(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Error(err)
	}
}

// now is the time since the run began.
func (w *world) now() time.Duration { return time.Since(w.began) }

// carryOut sends calls and makes events happen, each in its time, and waits until all are over.
func (w *world) carryOut(calls []*Call, events []*Event) {
	begin := w.now()
	var under sync.WaitGroup
	for _, e := range events {
		under.Go(func() {
			w.await(begin + e.At)
			w.happen(e)
		})
	}
	for _, c := range calls {
		w.await(begin + c.At)
		under.Go(func() { w.send(c) })
	}
	under.Wait()
}

// await waits until a time of the run.
func (w *world) await(at time.Duration) {
	select {
	case <-time.After(at - w.now()):
	case <-w.t.Context().Done():
	}
}

// learn finds out what the gateway takes the prompt of limited calls for.
func (w *world) learn() map[string]uint64 {
	prompts := map[string]uint64{}
	for i, model := range limitcheck.Models {
		c := &Call{
			Name: fmt.Sprintf("call-9999%d", i), Client: "spare", Kind: Chat, Model: model, Prompt: "one two three", Events: 1,
			Query: &limitcheck.Query{Client: "spare", Chat: true, Model: model, Path: "/cal/v1/chat/completions", Address: "127.0.0.1", MaxAsked: 1000},
		}
		w.mu.Lock()
		w.calls[c.Name] = c
		w.mu.Unlock()
		o := w.send(c)
		if l := left(o.Header, "tokens"); l != nil {
			prompts[model] = l.Limit - l.Remaining - c.Query.MaxAsked
		}
		if prompts[model] == 0 || prompts[model] > 100 {
			w.t.Errorf("three words are taken for %d tokens: %d %s", prompts[model], o.Status, o.Body)
		}
	}
	return prompts
}

// history is what was seen since time began.
func (w *world) history() *History {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &History{Plan: w.plan, Outcomes: w.outcomes, Arrivals: w.arrivals, Troubles: w.troubles}
}

// eventually asks until something is so.
func (w *world) eventually(what string, so func() bool) bool {
	w.t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline:
			w.t.Errorf("%v waited in vain: %s", patience, what)
			return false
		case <-w.t.Context().Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// status asks for a page, and gives the answer's status; 0: there is none.
func (w *world) status(url, key string) int {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Error(err)
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("x-call", "probe")
	response, err := w.probes.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// passes tells whether a request passes the gate to an upstream.
func (w *world) passes() bool {
	return w.status("http://"+w.places.Listen+"/one/v1/models", Key("fk-spare")) == http.StatusOK
}

func (w *world) url(path string) string { return fmt.Sprintf("http://%s%s", w.places.Listen, path) }
