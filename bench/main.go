// Command bench measures what Tollgate costs, beside what it is built on.
//
//	go run ./bench                                        # a few minutes, all targets
//	go run ./bench -rounds 1 -seconds 1 -targets direct,bare,tollgate/keys
//
// On one machine it starts an upstream (`tollgate mock`) and the targets of targets.go, each with processes of
// its own, and sends them the same requests in turn: Envoy without Tollgate (bare), Envoy with an external
// processor that does nothing (the floors, one for each mode of Envoy's), and `tollgate run` with a
// configuration for each row of "What a route needs" in docs/architecture.md. It reads the CPU time of Envoy's
// and of Go's processes from the kernel. What it finds goes to bench/results.json, and as tables and a plot to
// docs/performance.md, which says how to read them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"tollgate/bench/report"
)

// tolerated is how many times the CPU time of another version Tollgate may take.
const tolerated = 1.25

// options is the command line.
type options struct {
	settings report.Settings
	suite    string
	targets  string
	peers    string
	tollgate string
	base     string
	json     string
	docs     string
	list     bool
	soak     time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "noop" {
		return serveNoop(ctx, args[1])
	}
	if len(args) == 2 && args[0] == "upstream" {
		return serveUpstream(ctx, args[1])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(2*runtime.NumCPU() + 1) // one for each that waits in the kernel: load.WatchCores, and what has requests sent in time
	if o.soak > 0 {
		return soak(ctx, o)
	}
	all, err := suite(o.suite)
	if err != nil {
		return err
	}
	chosen, err := choose(all, o.targets)
	if err != nil {
		return err
	}
	if o.base != "" {
		if o.base, err = filepath.Abs(o.base); err != nil {
			return fmt.Errorf("finding the other version: %w", err)
		}
		chosen = against(chosen, o.base)
	}
	if o.list {
		list(os.Stdout, chosen)
		return nil
	}
	results, err := measureAll(ctx, o, chosen)
	if err != nil {
		return err
	}
	if err := write(o, results); err != nil {
		return err
	}
	if o.base == "" {
		return nil
	}
	return results.Loss(tolerated) //nolint:wrapcheck // it is a sentence
}

func parse(args []string) (*options, error) {
	o := &options{settings: report.Settings{Events: eventsEach, Interval: eventEvery.String()}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.settings.Rounds, "rounds", 10, "how often all is measured")
	flags.Float64Var(&o.settings.Seconds, "seconds", 0.5, "how long each load lasts, for each target")
	flags.Float64Var(&o.settings.Turn, "turn", 0.05, "how many seconds of it are one turn, after which the next target has its own")
	flags.IntVar(&o.settings.Connections, "connections", 8, "connections of the closed loop")
	flags.Float64Var(&o.settings.Rate, "rate", 200, "requests a second of the open loop")
	flags.IntVar(&o.settings.Streams, "streams", 32, "streams at once")
	flags.StringVar(&o.suite, "suite", "", "which `targets`: peers, scale; empty: those of make bench")
	flags.StringVar(&o.peers, "peers", ".tools/peers", "the `directory` with the programs of the suite peers")
	flags.StringVar(&o.targets, "targets", "", "only these, by `names` with commas between them; * at the end of one stands for any text")
	flags.StringVar(&o.tollgate, "tollgate", "bin/tollgate", "the `program` to measure")
	flags.StringVar(&o.base, "base", "", "another version's `program` to measure beside it: a loss of more than a quarter of its speed is an error")
	flags.StringVar(&o.json, "json", "", "the `file` for what was measured; empty: none")
	flags.StringVar(&o.docs, "docs", "", "the `directory` whose performance.md shows it, and performance.svg; empty: only standard output does")
	flags.DurationVar(&o.soak, "soak", 0, "keep Tollgate busy for so long instead, and judge its memory")
	flags.BoolVar(&o.list, "list", false, "say what targets there are")
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("reading the command line: %w", err)
	}
	if flags.NArg() > 0 || o.settings.Rounds < 1 || o.settings.Seconds <= 0 || o.settings.Turn <= 0 || o.settings.Connections < 1 ||
		o.settings.Rate <= 0 || o.settings.Streams < 1 {
		return nil, fmt.Errorf("the command line makes no sense: numbers must be above zero, and nothing may stand behind the flags: %q", args)
	}
	return o, nil
}

func list(out io.Writer, chosen []*target) {
	for _, t := range chosen {
		_, _ = fmt.Fprintf(out, "%-22s %s\n", t.name, t.what)
	}
}

// measureAll starts the targets, measures them, and ends them.
func measureAll(ctx context.Context, o *options, chosen []*target) (*report.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := newStage(ctx, o.tollgate, o.peers)
	if s != nil {
		defer s.close()
	}
	defer cancel()
	if err != nil {
		return nil, err
	}
	results := &report.Run{
		Suite: o.suite, Made: time.Now().UTC().Truncate(time.Second), Settings: o.settings, Machine: machine(),
		Tollgate: strings.TrimPrefix(version(ctx, s.tollgate, "version"), "tollgate "),
		Envoy:    regexp.MustCompile(`\d+\.\d+\.\d+`).FindString(version(ctx, s.envoy, "--version")),
	}
	b := &bench{
		settings: o.settings, targets: chosen, running: map[string]*running{}, say: progress,
		loads: []string{report.Answers, report.Latency, report.Streams},
	}
	if o.suite == report.Scale {
		b.loads = b.loads[:1]
	}
	for _, t := range chosen {
		if b.running[t.name], err = t.start(ctx, s, t); err != nil {
			return nil, err
		}
		results.Targets = append(results.Targets, report.Target{Name: t.name, What: t.what, Floor: t.floor, Base: t.base, Beside: t.beside})
	}
	if results.Samples, err = b.rounds(ctx); err != nil {
		return nil, err
	}
	if o.suite == report.Scale {
		if results.Steps, err = b.steps(ctx); err != nil {
			return nil, err
		}
		if results.Open, err = b.held(ctx, s); err != nil {
			return nil, err
		}
	}
	results.Machine.LoadAfter = loadAverage()
	results.Summarize()
	return results, nil
}

func progress(line string) { _, _ = fmt.Fprintln(os.Stderr, line) }

// version is what a program says of its version; empty where it says nothing.
func version(ctx context.Context, program string, args ...string) string {
	said, err := exec.CommandContext(ctx, program, args...).Output() //nolint:gosec // what is measured
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(said))
}

// write shows what was found.
func write(o *options, results *report.Run) error {
	if o.json != "" {
		text, err := json.MarshalIndent(results, "", " ")
		if err == nil {
			err = os.WriteFile(o.json, append(text, '\n'), 0o644) //nolint:gosec // to be read by all
		}
		if err != nil {
			return fmt.Errorf("writing what was measured: %w", err)
		}
	}
	if o.docs != "" {
		return results.WriteDocs(o.docs) //nolint:wrapcheck // it says what was being done
	}
	fmt.Print(results.Markdown())
	return nil
}
