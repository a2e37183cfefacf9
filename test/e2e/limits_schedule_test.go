package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/test/limitcheck"
	"tollgate/test/mock"
)

// A schedule is a run of requests against gateways, and what was seen of it.
type schedule struct {
	t        *testing.T
	trial    trial
	random   *rand.Rand
	spec     *limitcheck.Spec
	upstream string
	redis    *redisServer // nil: limits are counted in memory
	gateways []*gateway
	senders  map[string]*http.Client // by the address that they send from
	prompts  map[string]uint64       // what the gateway estimates of a prompt, by model
	began    time.Time

	mu      sync.Mutex
	trouble bool           // calls can get lost
	away    bool           // Redis is
	arrived map[string]int // at the upstream, by the call's name
	sent    int
	calls   []*seenCall // since the last time that counts began anew
	owed    []uint64    // by gateway: reserved tokens that its metrics must come to show
}

// seenCall is a call with what the judge of limits need not know.
type seenCall struct {
	*limitcheck.Call

	query   limitcheck.Query
	gateway int
	retry   time.Duration // what the refusal says
	lost    bool          // its settlement, by the death of its gateway
	local   bool          // it was counted by its gateway alone
	slow    bool          // its answer takes a while
	dropped bool          // it was refused because nobody could count it
	seed    uint64        // of what is ordered of the upstream
}

func newSchedule(t *testing.T, trial trial, seed uint64) *schedule {
	s := &schedule{
		t: t, trial: trial, random: rand.New(rand.NewPCG(seed, uint64(len(t.Name())))),
		senders: map[string]*http.Client{}, prompts: map[string]uint64{}, arrived: map[string]int{},
		owed: make([]uint64, trial.gateways),
	}
	s.spec = limitcheck.Generate(s.random, trial.dotenv)
	answers := mock.New(mock.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.arrived[r.Header.Get("x-call")]++
		s.mu.Unlock()
		answers.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.upstream = server.URL
	if trial.redis {
		s.redis = startRedis(t)
	}
	for range trial.gateways {
		g := newGateway(t)
		s.gateways = append(s.gateways, g)
		g.args = []string{"run"}
		if trial.dotenv {
			g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://")}
		}
		s.configure(g)
		g.start(t)
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100}
		t.Cleanup(transport.CloseIdleConnections)
		s.senders[address] = &http.Client{Transport: transport, Timeout: patience}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to replay: LIMITCHECK_SEED=%d; the limits:\n%s", seed, s.spec.YAML())
		}
	})
	s.began = time.Now()
	s.calibrate()
	return s
}

// configure writes a gateway's configuration.
func (s *schedule) configure(g *gateway) {
	s.t.Helper()
	if s.trial.dotenv {
		g.write(s.t, ".env", s.spec.Env(s.upstream, "memory"))
		return
	}
	yaml := fmt.Sprintf("upstreams: [{name: up, url: %q, keys: [%s]}]\n", s.upstream, upstreamKey) + s.spec.YAML()
	if s.redis != nil {
		onError := "refuse"
		if s.trial.local {
			onError = "local"
		}
		yaml += fmt.Sprintf("limit_store: {redis: \"redis://%s\", on_error: %s}\n", s.redis.address, onError)
	}
	g.edit(s.t, yaml, false)
}

// calibrate learns what the gateway takes a prompt for.
func (s *schedule) calibrate() {
	if s.trial.dotenv {
		return
	}
	for _, model := range limitcheck.Models {
		q := limitcheck.Query{Client: "spare", Address: "127.0.0.1", Path: "/cal/v1/chat/completions", Model: model, Chat: true, MaxAsked: 1000}
		c := s.send(s.plan(&q, 0))
		if c.Verdict != limitcheck.Admitted || c.Tokens == nil {
			s.t.Fatalf("the first request to /cal: %+v", c.Call)
		}
		s.prompts[model] = c.Tokens.Limit - c.Tokens.Remaining - q.MaxAsked
		if n := s.prompts[model]; n == 0 || n > 100 {
			s.t.Errorf("three words are estimated as %d tokens", n)
		}
		s.owed[0] += s.prompts[model]
	}
	s.calls = nil
}

// now is the time since the schedule began.
func (s *schedule) now() time.Duration { return time.Since(s.began) }

// await waits, for as long as nothing else can tell that a window is over.
func (s *schedule) await(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// query makes a random request.
func (s *schedule) query() *limitcheck.Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec.Query(s.random)
}

// burst sends requests at once, half of the time the same.
func (s *schedule) burst(n int) {
	alike := s.random.IntN(2) == 0
	q := s.query()
	var calls sync.WaitGroup
	for range n {
		if !alike {
			q = s.query()
		}
		c := s.plan(q, s.random.IntN(len(s.gateways)))
		calls.Go(func() { s.send(c) })
	}
	calls.Wait()
}

// series sends requests one after the other.
func (s *schedule) series(n int) {
	q := s.query()
	for range n {
		if s.random.IntN(3) == 0 {
			q = s.query()
		}
		s.send(s.plan(q, s.random.IntN(len(s.gateways))))
		if s.random.IntN(2) == 0 && !s.away {
			s.settle()
		}
	}
}

// insist sends a request again and again until it is refused, and once more when it may come back.
func (s *schedule) insist() {
	q := s.query()
	for range 25 {
		s.settle()
		c := s.send(s.plan(q, s.random.IntN(len(s.gateways))))
		if c.Verdict == limitcheck.Refused {
			if c.retry == 0 {
				return // it can never fit
			}
			s.await(c.retry)
			again := s.plan(q, s.random.IntN(len(s.gateways)))
			again.Must = true
			s.send(again)
			return
		}
	}
}

// settle waits until what the calls used is known to the limits.
func (s *schedule) settle() {
	s.mu.Lock()
	var open []*seenCall
	owed := slices.Clone(s.owed)
	for _, c := range s.calls {
		if c.Verdict == limitcheck.Admitted && c.Settled == limitcheck.Forever && !c.lost {
			open = append(open, c)
		}
	}
	s.mu.Unlock()
	for i, g := range s.gateways {
		if slices.ContainsFunc(open, func(c *seenCall) bool { return c.gateway == i && c.owes() > 0 }) {
			eventually(s.t, fmt.Sprint(owed[i], " reserved tokens are settled"), func() bool { return g.settledOf(s.t) >= owed[i] })
		}
	}
	for _, c := range open {
		c.Settled = s.now()
	}
}

// settledOf is how many tokens were reserved by all calls that are settled.
func (g *gateway) settledOf(t *testing.T) (sum uint64) {
	for line := range strings.Lines(g.get(t, g.admin+"/metrics", nil)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok &&
			strings.HasPrefix(name, "tollgate_limit_tokens_total{") && strings.HasSuffix(name, `what="reserved"`) {
			n, _ := strconv.ParseFloat(value, 64)
			sum += uint64(n)
		}
	}
	return sum
}

// judge asks the judge of limits about all calls since counts began anew.
func (s *schedule) judge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []*limitcheck.Call
	tally := map[limitcheck.Verdict]int{}
	for _, c := range s.calls {
		if c.Verdict == limitcheck.Lost && s.arrived[c.Name] == 1 {
			c.Verdict, c.Cut = limitcheck.Admitted, true
		}
		if c.Verdict == limitcheck.Refused && s.arrived[c.Name] > 0 {
			s.t.Errorf("%s was refused and arrived", c.Name)
		}
		if c.dropped {
			continue
		}
		tally[c.Verdict]++
		calls = append(calls, c.Call)
	}
	problems := limitcheck.Check(calls)
	for _, problem := range problems[:min(len(problems), 10)] {
		s.t.Error(problem)
	}
	s.t.Logf("%d admitted, %d refused, %d lost; %d problems", tally[limitcheck.Admitted], tally[limitcheck.Refused], tally[limitcheck.Lost], len(problems))
	s.calls = nil
}
