package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/bench/load"
	"tollgate/bench/report"
)

const (
	soakSamples = 60 // over the whole time
	soakRate    = 60 // requests a second, of each kind
	soakStreams = 16 // at once
	soakLeaving = 20 // streams at once whose clients leave before their end
)

// soaking is everything, in stores that are full before the half of it is over: what grows after that is a leak.
func soaking(upstream string) string {
	return "chat_log: {max_file_bytes: 10000000, max_files: 2}\ntelemetry: {usage: true}\ncache: {scope: route}\n" +
		"cache_store: {max_bytes: 4194304}\n" +
		"limits: [{requests: 1000000/minute}, {tokens: 10000000000/minute}]\n" + many(100, 1000)(upstream)
}

// soak keeps Tollgate busy for a time with all kinds of requests at once, edits its configuration meanwhile, and
// judges whether the memory of its processes grows.
func soak(ctx context.Context, o *options) error {
	ctx, cancel := context.WithCancel(ctx)
	s, err := newStage(ctx, o.tollgate, o.peers)
	if s != nil {
		defer s.close()
	}
	defer cancel()
	if err != nil {
		return err
	}
	t := row("soak", "", "everything", soaking).among(100, 1000)
	r, err := t.start(ctx, s, t)
	if err != nil {
		return err
	}
	b := &bench{settings: o.settings, say: progress}
	group, ctx := errgroup.WithContext(ctx)
	again := t.ask
	again.same = true
	for _, work := range []func(context.Context, time.Duration) error{
		b.steadily(r, t.ask), b.steadily(r, again), b.streaming(r, t.ask), b.leaving(r, t.ask),
	} {
		group.Go(func() error { return work(ctx, o.soak) })
	}
	var memory *report.Soak
	group.Go(func() (err error) {
		memory, err = b.watch(ctx, r, o.soak)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("soaking: %w", err)
	}
	fmt.Print(memory.Markdown())
	return memory.Grown() //nolint:wrapcheck // it is a sentence
}

// steadily sends requests at a fixed rate.
func (b *bench) steadily(r *running, ask asking) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		return b.with(ctx, r, 4*b.settings.Connections, func(p *load.Pool) error {
			_, err := p.Open(ctx, d, soakRate, ask.answers())
			return err //nolint:wrapcheck // soak says where
		})
	}
}

// streaming has streams follow one another.
func (b *bench) streaming(r *running, ask asking) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		return b.with(ctx, r, soakStreams, func(p *load.Pool) error {
			_, err := p.Closed(ctx, d, eventEvery, ask.streams())
			return err //nolint:wrapcheck // soak says where
		})
	}
}

func (b *bench) with(ctx context.Context, r *running, connections int, use func(*load.Pool) error) error {
	pool, err := load.Dial(ctx, r.address, connections, &b.numbers)
	if err != nil {
		return err //nolint:wrapcheck // soak says where
	}
	defer pool.Close()
	return use(pool)
}

// leaving opens streams and closes their connections after the first event, again and again.
func (b *bench) leaving(r *running, ask asking) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		for begin := time.Now(); time.Since(begin) < d; {
			held, err := load.Hold(ctx, r.address, soakLeaving, &b.numbers, ask.streams())
			if err != nil {
				return err //nolint:wrapcheck // soak says where
			}
			held.Close()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
		return nil
	}
}

// watch takes the memory again and again, and edits the configuration each time.
func (b *bench) watch(ctx context.Context, r *running, d time.Duration) (*report.Soak, error) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	next := filepath.Join(filepath.Dir(r.file), "next.yaml")
	tick := time.NewTicker(d / soakSamples)
	defer tick.Stop()
	memory := &report.Soak{Seconds: d.Seconds()}
	for i := range soakSamples {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		edited := fmt.Appendf(text[:len(text):len(text)], "  - {prefix: /edit-%d, upstream: mock}\n", i)
		if err := errors.Join(os.WriteFile(next, edited, 0o600), os.Rename(next, r.file)); err != nil {
			return nil, fmt.Errorf("editing the configuration: %w", err)
		}
		used, err := r.use()
		if err != nil {
			return nil, err
		}
		memory.Envoy, memory.Go = append(memory.Envoy, float64(used.envoyRAM)), append(memory.Go, float64(used.goRAM))
		b.say(fmt.Sprintf("%d of %d: Envoy %.1f MB, Go %.1f MB; %d requests so far",
			i+1, soakSamples, float64(used.envoyRAM)/1e6, float64(used.goRAM)/1e6, b.numbers.Load()))
	}
	return memory, nil
}
