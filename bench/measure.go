package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tollgate/bench/load"
	"tollgate/bench/report"
)

const (
	// settle is how long a target gets after a turn's last answer for what it still does about it.
	settle = 2 * time.Millisecond

	// latencyTimes is how much longer a target has its turn where requests come at a fixed rate, and only one in a round:
	// what it finds gone from the processors' caches when it comes must not be a hundredth of its requests.
	latencyTimes = 2
)

// bench measures targets that run.
type bench struct {
	settings report.Settings
	targets  []*target
	running  map[string]*running
	loads    []string
	numbers  atomic.Int64 // of the requests of all targets
	say      func(string)
}

// rounds measures all targets under each load, round by round.
func (b *bench) rounds(ctx context.Context) ([]report.Sample, error) {
	if err := b.warmUp(ctx); err != nil {
		return nil, err
	}
	var samples []report.Sample
	for round := range b.settings.Rounds {
		b.say(fmt.Sprintf("round %d of %d", round+1, b.settings.Rounds))
		for _, kind := range b.loads {
			of, err := b.inTurns(ctx, kind)
			if err != nil {
				return nil, err
			}
			for i := range of {
				of[i].Round = round
			}
			samples = append(samples, of...)
		}
	}
	return samples, nil
}

// warmUp has each target answer for a moment, which is not counted.
func (b *bench) warmUp(ctx context.Context) error {
	for _, t := range b.targets {
		pool, err := load.Dial(ctx, b.running[t.name].address, b.settings.Connections, &b.numbers)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		_, err = pool.Closed(ctx, 200*time.Millisecond, 0, t.ask.answers())
		pool.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// inTurns measures all targets under one load. They take short turns, back and forth, until each has had its time:
// what disturbs a machine comes and goes within tenths of a second, and so disturbs neighbours alike.
func (b *bench) inTurns(ctx context.Context, kind string) ([]report.Sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var cores *load.Cores
	if kind == report.Latency {
		var err error
		if cores, err = load.WatchCores(ctx); err != nil {
			return nil, err //nolint:wrapcheck // it says what was being done
		}
	}
	var order []*part
	defer func() {
		for _, p := range order {
			p.pool.Close()
		}
	}()
	for _, t := range b.targets {
		pool, err := load.Dial(ctx, b.running[t.name].address, b.connections(kind), &b.numbers)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", t.name, kind, err)
		}
		order = append(order, &part{target: t, running: b.running[t.name], pool: pool, cores: cores})
	}
	inOrder := slices.Clone(order)
	for left := true; left; slices.Reverse(order) {
		left = false
		for _, p := range order {
			if p.result.Elapsed.Seconds() >= b.settings.Seconds {
				continue
			}
			if err := b.turn(ctx, p, kind); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.target.name, kind, err)
			}
			left = true
		}
	}
	var samples []report.Sample
	for _, p := range inOrder {
		samples = append(samples, p.sample(kind))
	}
	return samples, nil
}

func (b *bench) connections(kind string) int {
	switch kind {
	case report.Streams:
		return b.settings.Streams
	case report.Latency:
		return 4 * b.settings.Connections // enough that none is waited for, unless the target stalls
	}
	return b.settings.Connections
}

// part is what one target does in one round, turn by turn.
type part struct {
	target  *target
	running *running
	pool    *load.Pool
	cores   *load.Cores // of latencies: what was slow for the machine's sake is left out

	result          load.Result
	envoyCPU, goCPU time.Duration
	last            used
}

// turn puts a target under a load for a moment.
func (b *bench) turn(ctx context.Context, p *part, kind string) error {
	before, err := p.running.use()
	if err != nil {
		return err
	}
	result, err := b.load(ctx, p, kind)
	if err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	if p.last, err = p.running.use(); err != nil {
		return err
	}
	if p.cores != nil {
		result.LeaveOut(p.cores.Slow)
	}
	p.result.Add(result)
	p.envoyCPU += p.last.envoyCPU - before.envoyCPU
	p.goCPU += p.last.goCPU - before.goCPU
	return nil
}

// sample is what all turns come to.
func (p *part) sample(kind string) report.Sample {
	return report.Sample{
		Target: p.target.name, Load: kind,
		Requests: p.result.Requests, LeftOut: p.result.LeftOut, Events: p.result.Events, Seconds: p.result.Elapsed.Seconds(),
		EnvoyCPU: microseconds(p.envoyCPU), GoCPU: microseconds(p.goCPU),
		EnvoyRAM: p.last.envoyRAM, GoRAM: p.last.goRAM,
		Latency: report.QuantilesOf(p.result.Latencies),
		First:   report.QuantilesOf(p.result.Firsts),
		Gap:     report.QuantilesOf(p.result.Gaps),
	}
}

func (b *bench) load(ctx context.Context, p *part, kind string) (*load.Result, error) {
	d, ask := seconds(b.settings.Turn), p.target.ask
	switch kind {
	case report.Latency:
		d = latencyTimes * seconds(b.settings.Seconds)
		return p.pool.Open(ctx, d, b.settings.Rate, ask.answers()) //nolint:wrapcheck // inTurns says where
	case report.Streams:
		return p.pool.Closed(ctx, d, eventEvery, ask.streams()) //nolint:wrapcheck // inTurns says where
	}
	return p.pool.Closed(ctx, d, 0, ask.answers()) //nolint:wrapcheck // inTurns says where
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// used is what a target's processes have taken.
type used struct {
	envoyCPU, goCPU time.Duration
	envoyRAM, goRAM int64
}

func (r *running) use() (u used, err error) {
	if u.envoyCPU, u.envoyRAM, err = sum(r.envoys); err == nil {
		u.goCPU, u.goRAM, err = sum(r.gos)
	}
	return u, err
}

func sum(pids []int) (cpu time.Duration, memory int64, err error) {
	for _, pid := range pids {
		used, err := cpuTime(pid)
		if err != nil {
			return 0, 0, err
		}
		resident, err := residentBytes(pid)
		if err != nil {
			return 0, 0, err
		}
		cpu, memory = cpu+used, memory+resident
	}
	return cpu, memory, nil
}
