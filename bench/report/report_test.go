package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestQuantiles(t *testing.T) {
	t.Parallel()
	upTo := func(n int) []time.Duration {
		times := make([]time.Duration, n)
		for i := range times {
			times[i] = time.Duration(n-i) * time.Microsecond // backwards: they are sorted first
		}
		return times
	}
	for _, test := range []struct {
		times []time.Duration
		want  Quantiles
	}{
		{nil, Quantiles{}},
		{upTo(1), Quantiles{1, 1, 1}},
		{upTo(2), Quantiles{1, 2, 2}},
		{upTo(100), Quantiles{50, 99, 100}},
		{upTo(1000), Quantiles{500, 990, 999}},
		{[]time.Duration{1500}, Quantiles{1.5, 1.5, 1.5}},
	} {
		if got := QuantilesOf(test.times); got != test.want {
			t.Errorf("%d times: %+v, want %+v", len(test.times), got, test.want)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{4}, Spread{4, 4, 4}},
		{[]float64{3, 1}, Spread{1, 2, 3}},
		{[]float64{9, 1, 2}, Spread{1, 2, 9}},
		{[]float64{4, 1, 2, 9}, Spread{1, 3, 9}},
	} {
		if got := spread(test.values); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.values, got, test.want)
		}
	}
}

// TestRatiosAreWithinARound: a round in which everything takes twice as long leaves no trace in ratios.
func TestRatiosAreWithinARound(t *testing.T) {
	t.Parallel()
	r := example()
	r.Summarize()
	for _, s := range r.Summary {
		if s.Target == "tollgate/keys" && s.Load == Answers {
			if (s.ToBare != Spread{4, 4, 4}) || (s.ToFloor != Spread{1.25, 1.25, 1.25}) {
				t.Errorf("to bare %+v and to floor %+v, want 4 and 1.25 in each round", s.ToBare, s.ToFloor)
			}
			if (s.CPU != Spread{200, 300, 400}) {
				t.Errorf("CPU time %+v, want 200 to 400", s.CPU)
			}
			return
		}
	}
	t.Error("there is no summary of tollgate/keys")
}

// TestGolden: the tables and the plot, which stays XML.
func TestGolden(t *testing.T) {
	t.Parallel()
	r, peers, scale := example(), example(), example()
	peers.Suite, peers.Targets[2].Beside = Peers, "tollgate/keys"
	scale.Suite, scale.Targets[3].Beside = Scale, "floor/headers"
	scale.Steps = []Step{
		{Target: "one", Routes: 1, Clients: 1, Start: 1, Edits: []float64{0.1, 0.3, 0.2}, EnvoyRAM: 50e6, GoRAM: 40e6},
		{Target: "many", Routes: 1, Clients: 1001, Start: 2, EnvoyRAM: 51e6, GoRAM: 45e6},
	}
	scale.Open = []Open{
		{Streams: 1, Interval: 1, Events: 100, EnvoyCPU: 1000, GoCPU: 2000, EnvoyRAM: 50e6, GoRAM: 40e6, SilentEnvoyRAM: 50e6, SilentGoRAM: 30e6},
		{Streams: 101, Interval: 100, Events: 100, EnvoyCPU: 1000, GoCPU: 2300, EnvoyRAM: 51e6, GoRAM: 45e6, SilentEnvoyRAM: 50.5e6, SilentGoRAM: 31e6},
	}
	for _, made := range []*Run{r, peers, scale} {
		made.Summarize()
	}
	for name, got := range map[string]string{
		"example.md": r.Markdown(), "example.svg": r.SVG(), "peers.md": peers.Markdown(), "scale.md": scale.Markdown(),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs (-golden +made); if that is right, run go test -update:\n%s", name, diff)
		}
	}
	decoder := xml.NewDecoder(strings.NewReader(r.SVG()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}

// TestWriteDocs: the page keeps what people wrote, and writing twice is writing once.
func TestWriteDocs(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), example()
	r.Summarize()
	path := filepath.Join(dir, "performance.md")
	beginMark, endMark := r.marks()
	if err := os.WriteFile(path, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.WriteDocs(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + beginMark + "\n\n" + r.Markdown() + "\n" + endMark + "\nafter\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.WriteFile(path, []byte("a page without marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteDocs(dir); err == nil || !strings.Contains(err.Error(), beginMark) {
		t.Errorf("got %v, want an error that names the marks", err)
	}
}

// TestLoss: more than what is tolerated is an error that says what and how much.
func TestLoss(t *testing.T) {
	t.Parallel()
	r := example()
	r.Targets[3].Base = "floor/headers" // of which it takes 1.25 times as much, and 1.20 of streams
	r.Summarize()
	if err := r.Loss(1.25); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	err := r.Loss(1.22)
	if err == nil || !strings.Contains(err.Error(), "tollgate/keys, answers: 200.0 microseconds") || strings.Contains(err.Error(), Streams) {
		t.Errorf("got %v, want an error about answers", err)
	}
}

// TestSoak: what grows in the first half only is flat, what grows after it is not, and is named.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := &Soak{Seconds: 8, Envoy: []float64{1e6, 50e6, 60e6, 60e6, 60e6, 60e6, 60e6, 62e6}, Go: []float64{1e6, 2e6, 3e6, 4e6, 3e6, 4e6, 3e6, 4e6}}
	if err := s.Grown(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if !strings.Contains(s.Markdown(), "| Envoy | 25.5 | 60.0 | 60.0 | 61.0 | 1.02 |") {
		t.Errorf("the table is\n%s", s.Markdown())
	}
	s.Go[7] = 6e6
	if err := s.Grown(); err == nil || !strings.Contains(err.Error(), "Go has grown from 3.5 MB in the second quarter to 4.5 MB") || strings.Contains(err.Error(), "Envoy") {
		t.Errorf("got %v, want an error about Go", err)
	}
}

// example has two rounds; in the second all takes twice as long.
func example() *Run {
	r := &Run{
		Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Tollgate: "v1", Envoy: "1.2.3",
		Machine:  Machine{CPU: "A processor", Cores: 2, Kernel: "6.1", LoadBefore: 0.1, LoadAfter: 1.9},
		Settings: Settings{Rounds: 2, Seconds: 1, Connections: 8, Rate: 500, Streams: 32, Events: 100, Interval: "5ms"},
		Targets: []Target{
			{Name: "direct", What: "no proxy"},
			{Name: "bare", What: "Envoy"},
			{Name: "floor/headers", What: "gate: headers"},
			{Name: "tollgate/keys", What: "keys <&>", Floor: "floor/headers"},
		},
	}
	for round := range 2 {
		slow := float64(round + 1)
		at := func(us float64) Quantiles { return Quantiles{us * slow, 2 * us * slow, 3 * us * slow} }
		for i, cpu := range []struct{ envoy, golang float64 }{{0, 0}, {50, 0}, {100, 60}, {120, 80}} {
			name := r.Targets[i].Name
			r.Samples = append(r.Samples,
				Sample{
					Target: name, Load: Answers, Round: round, Requests: 1000, Seconds: slow,
					EnvoyCPU: 1000 * slow * cpu.envoy, GoCPU: 1000 * slow * cpu.golang, EnvoyRAM: 50e6, GoRAM: 30e6,
				},
				Sample{Target: name, Load: Latency, Round: round, Requests: 500, Seconds: 1, Latency: at(300 + cpu.envoy)},
				Sample{
					Target: name, Load: Streams, Round: round, Requests: 10, Events: 1000, Seconds: slow,
					EnvoyCPU: 200 * slow * cpu.envoy, GoCPU: 10 * slow * cpu.golang, First: at(1000), Gap: at(5000),
				})
		}
	}
	return r
}

// TestPromptness: what is added is judged by the quietest round of each.
func TestPromptness(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bare, floor, tollgate Spread
		toBare, toFloor       string
	}{
		{Spread{2000, 4000, 9000}, Spread{2500, 3000, 3000}, Spread{2900, 30000, 60000}, "no row", "no row"},
		{Spread{2000, 40000, 90000}, Spread{2500, 3000, 3000}, Spread{3100, 3200, 3300}, "tollgate/keys 1.10", "no row"},
		{Spread{2000, 40000, 90000}, Spread{2050, 2050, 2050}, Spread{3100, 3200, 3300}, "tollgate/keys 1.10", "tollgate/keys 1.05"},
	} {
		r := &Run{
			Targets: []Target{{Name: bare}, {Name: "floor/headers"}, {Name: "tollgate/keys", Floor: "floor/headers"}},
			Summary: []Summary{
				{Target: bare, Load: Latency, P99: test.bare},
				{Target: "floor/headers", Load: Latency, P99: test.floor},
				{Target: "tollgate/keys", Load: Answers, P99: Spread{99999, 99999, 99999}},
				{Target: "tollgate/keys", Load: Latency, P99: test.tollgate},
			},
		}
		toBare, toFloor, _ := strings.Cut(r.promptness(), "\n")
		if !strings.Contains(toBare, test.toBare) || !strings.Contains(toFloor, test.toFloor) {
			t.Errorf("%+v: %s, %s", test, toBare, toFloor)
		}
	}
}

// TestPromptnessUnknown: of a row of which nothing is known, or not of what it is compared with, that is said.
func TestPromptnessUnknown(t *testing.T) {
	t.Parallel()
	r := &Run{
		Targets: []Target{{Name: bare}, {Name: "floor/tap"}, {Name: "tollgate/chat-log", Floor: "floor/tap"}},
		Summary: []Summary{{Target: bare, Load: Latency}, {Target: "tollgate/chat-log", Load: Latency}},
	}
	if toBare, toFloor, _ := strings.Cut(r.promptness(), "\n"); strings.Contains(toBare, "known") || !strings.HasSuffix(toFloor, "known, of: tollgate/chat-log.") {
		t.Errorf("%s; %s", toBare, toFloor)
	}
	r.Summary = r.Summary[:1]
	if said := r.promptness(); strings.Count(said, "known, of: tollgate/chat-log.") != 2 {
		t.Error(said)
	}
}
