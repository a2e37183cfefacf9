package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tollgate/test/limitcheck"
)

// rested lets some time pass.
func rested(s *schedule) { s.await(time.Duration(s.random.IntN(1500)) * time.Millisecond) }

// meanwhile lets something happen among requests.
func (s *schedule) meanwhile(happens func()) {
	s.settle()
	var requests sync.WaitGroup
	requests.Go(func() {
		for range 3 {
			s.burst(8)
		}
	})
	happens()
	requests.Wait()
}

// edited changes the configuration among requests, and no limit: a route and a client come first now.
func edited(s *schedule) {
	s.meanwhile(func() {
		s.change(func(spec *limitcheck.Spec) {
			n := len(spec.Routes)
			spec.Routes = append([]limitcheck.Route{{Prefix: fmt.Sprint("/added-", n), Spare: true}}, spec.Routes...)
			spec.Clients = append([]limitcheck.Client{{Name: fmt.Sprint("new-", n), Key: fmt.Sprintf("fk-new-%d-0123456789", n)}}, spec.Clients...)
		})
	})
}

// recounted changes the counts of all limits while no request is under way.
func recounted(s *schedule) {
	s.settle()
	s.change(func(spec *limitcheck.Spec) {
		for i := range spec.Routes {
			if spec.Routes[i].Spare {
				continue
			}
			for _, l := range spec.Routes[i].Limits {
				for j := range l.Rates {
					l.Rates[j].Count += l.Rates[j].Count / uint64(1+s.random.IntN(3))
				}
			}
		}
	})
}

// change puts another configuration into force.
func (s *schedule) change(edit func(*limitcheck.Spec)) {
	const said = "a new configuration is in force"
	s.mu.Lock()
	spec := s.spec.Clone()
	edit(spec)
	s.spec = spec
	s.mu.Unlock()
	for _, g := range s.gateways {
		times := strings.Count(g.output.String(), said)
		s.configure(g)
		g.await(s.t, said, times+1)
	}
}

// gateKilled kills a gate among requests: those get an error, and what was counted in Redis stays.
func gateKilled(s *schedule) { s.killed("serve") }

// envoyKilled kills an Envoy among requests: what was counted in memory stays.
func envoyKilled(s *schedule) { s.killed("envoy") }

func (s *schedule) killed(child string) {
	i := s.random.IntN(len(s.gateways))
	g := s.gateways[i]
	s.settle()
	s.setTrouble(true)
	s.meanwhile(func() {
		if err := syscall.Kill(g.child(s.t, child), syscall.SIGKILL); err != nil {
			s.t.Error(err)
		}
	})
	eventually(s.t, "requests pass again", func() bool { return s.probe(g) == http.StatusOK })
	s.setTrouble(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if child == "serve" {
		s.owed[i] = 0
	}
	for _, c := range s.calls {
		c.lost = c.lost || c.gateway == i && c.Settled == limitcheck.Forever
	}
}

func (s *schedule) setTrouble(trouble bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

// paused stops Redis, without its clients noticing at once, and lets it go on.
func paused(s *schedule) {
	s.settle()
	var slow sync.WaitGroup // calls that end while nobody can be told what they used
	for range 3 {
		q := s.query()
		q.Path, q.Chat, q.Model, q.Client, q.Address = "/tokens/v1/chat/completions", true, "o3", "alice", "127.0.0.1"
		c := s.plan(q, s.random.IntN(len(s.gateways)))
		c.slow = true
		slow.Go(func() { s.send(c) })
		eventually(s.t, "the call is under way, or over", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.arrived[c.Name] > 0 || c.Verdict == limitcheck.Refused
		})
	}
	s.signal(syscall.SIGSTOP, true)
	slow.Wait()
	s.burst(6)
	s.series(4)
	s.burst(6)
	var back []int
	for _, g := range s.gateways {
		back = append(back, strings.Count(g.output.String(), "Redis answers again"))
	}
	s.signal(syscall.SIGCONT, false)
	for i, g := range s.gateways {
		eventually(s.t, "Redis counts again", func() bool {
			return s.probe(g) == http.StatusOK && strings.Count(g.output.String(), "Redis answers again") > back[i]
		})
	}
}

func (s *schedule) signal(signal syscall.Signal, away bool) {
	if err := s.redis.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// flushed empties Redis: all counts begin anew.
func flushed(s *schedule) {
	s.settle()
	connection, err := net.Dial("tcp", s.redis.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	answer := make([]byte, 5)
	if _, err := io.WriteString(connection, "FLUSHALL\r\n"); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.ReadFull(connection, answer); err != nil || string(answer) != "+OK\r\n" {
		s.t.Fatalf("FLUSHALL: %q %v", answer, err)
	}
	s.judge()
}

// probe sends a request that all limits have room for, and gives its status.
func (s *schedule) probe(g *gateway) int {
	path := "/probe/echo"
	if s.trial.dotenv {
		path = s.spec.Routes[0].Prefix
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, g.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	at := slices.IndexFunc(s.spec.Clients, func(c limitcheck.Client) bool { return c.Name == "spare" })
	request.Header.Set("authorization", "Bearer "+s.spec.Clients[at].Key)
	response, err := s.senders["127.0.0.1"].Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
