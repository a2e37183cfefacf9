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

// bench measures targets that run.
type bench struct {
	settings report.Settings
	targets  []*target
	running  map[string]*running
	loads    []string
	numbers  atomic.Int64 // of the requests of all targets
	say      func(string)
}

// rounds measures all targets under each load, round by round, back and forth, so that what disturbs the
// machine for a while disturbs neighbours alike.
func (b *bench) rounds(ctx context.Context) ([]report.Sample, error) {
	if err := b.warmUp(ctx); err != nil {
		return nil, err
	}
	var samples []report.Sample
	order := slices.Clone(b.targets)
	for round := range b.settings.Rounds {
		b.say(fmt.Sprintf("round %d of %d", round+1, b.settings.Rounds))
		for _, kind := range b.loads {
			for _, t := range order {
				s, err := b.measure(ctx, t, kind)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", t.name, kind, err)
				}
				s.Round = round
				samples = append(samples, *s)
			}
		}
		slices.Reverse(order)
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

// measure puts one target under one load.
func (b *bench) measure(ctx context.Context, t *target, kind string) (*report.Sample, error) {
	connections := b.settings.Connections
	switch kind {
	case report.Streams:
		connections = b.settings.Streams
	case report.Latency:
		connections *= 4 // enough that none is waited for, unless the target stalls
	}
	r := b.running[t.name]
	pool, err := load.Dial(ctx, r.address, connections, &b.numbers)
	if err != nil {
		return nil, err //nolint:wrapcheck // rounds says where
	}
	defer pool.Close()
	before, err := r.use()
	if err != nil {
		return nil, err
	}
	result, err := b.load(ctx, pool, t, kind)
	if err != nil {
		return nil, err
	}
	after, err := r.use()
	if err != nil {
		return nil, err
	}
	return &report.Sample{
		Target: t.name, Load: kind,
		Requests: result.Requests, Events: result.Events, Seconds: result.Elapsed.Seconds(),
		EnvoyCPU: microseconds(after.envoyCPU - before.envoyCPU), GoCPU: microseconds(after.goCPU - before.goCPU),
		EnvoyRAM: after.envoyRAM, GoRAM: after.goRAM,
		Latency: report.QuantilesOf(result.Latencies),
		First:   report.QuantilesOf(result.Firsts),
		Gap:     report.QuantilesOf(result.Gaps),
	}, nil
}

func (b *bench) load(ctx context.Context, pool *load.Pool, t *target, kind string) (*load.Result, error) {
	d := time.Duration(b.settings.Seconds * float64(time.Second))
	switch kind {
	case report.Latency:
		return pool.Open(ctx, d, b.settings.Rate, t.ask.answers()) //nolint:wrapcheck // rounds says where
	case report.Streams:
		return pool.Closed(ctx, d, eventEvery, t.ask.streams()) //nolint:wrapcheck // rounds says where
	}
	return pool.Closed(ctx, d, 0, t.ask.answers()) //nolint:wrapcheck // rounds says where
}

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
