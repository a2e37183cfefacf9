package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/bench/load"
	"tollgate/bench/report"
)

const (
	edits      = 5               // of each target that is edited
	editWithin = time.Minute     // until what an edit brings must be there
	editPause  = 2 * time.Second // until all is quiet again

	// heldRate is how many events a second all held streams have together, however many they are.
	heldRate   = 2000
	heldAtMost = 10_000
	heldFor    = 3 * time.Second  // and at least one event of each
	heldLast   = 40 * time.Second // how long they would last: opening takes a while

	// rests is after how long without requests a process has given back what it does not need.
	rests = 6 * time.Second
)

// scales are Tollgate with keys, and with more and more routes and clients, which all have their turns.
func scales() []*target {
	first := scaled(1, 1)
	list := []*target{first, scaled(100, 1), scaled(1000, 1), scaled(10_000, 1), scaled(1, 1000), scaled(1, 100_000), scaled(1, 1_000_000)}
	for _, t := range list[1:] {
		t.beside = first.name
	}
	return list
}

func scaled(routes, clients int64) *target {
	t := row("", "", fmt.Sprintf("keys; routes: %d, clients: %d", routes, clients), many(routes, clients)).among(routes, clients)
	t.name, t.floor = fmt.Sprintf("scale/routes-%d-clients-%d", routes, clients), ""
	return t
}

// steps measures what else grows: how long a start takes and an edit, and what streams cost that are open at once.
func (b *bench) steps(ctx context.Context) ([]report.Step, error) {
	if err := pause(ctx, rests); err != nil {
		return nil, err
	}
	var steps []report.Step
	for _, t := range b.targets {
		r := b.running[t.name]
		used, err := r.use()
		if err != nil {
			return nil, err
		}
		step := report.Step{
			Target: t.name, Routes: t.ask.routes, Clients: t.ask.clients,
			Start: r.startedIn.Seconds(), EnvoyRAM: used.envoyRAM, GoRAM: used.goRAM,
		}
		if t.ask.clients == 1 {
			b.say("editing " + t.name)
			if step.Edits, err = r.edit(ctx); err != nil {
				return nil, fmt.Errorf("editing %s: %w", t.name, err)
			}
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// edit adds routes to the file, one by one, and takes the times until each is served, in seconds.
func (r *running) edit(ctx context.Context) ([]float64, error) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var times []float64
	for i := range edits {
		path := fmt.Sprintf("/edit-%d", i)
		text = fmt.Appendf(text, "  - {prefix: %s, upstream: mock}\n", path)
		next := filepath.Join(filepath.Dir(r.file), "next.yaml")
		if err := os.WriteFile(next, text, 0o600); err != nil {
			return nil, fmt.Errorf("writing the configuration: %w", err)
		}
		begin := time.Now()
		if err := os.Rename(next, r.file); err != nil {
			return nil, fmt.Errorf("writing the configuration: %w", err)
		}
		if err := r.serves(ctx, path+"/v1/models"); err != nil {
			return nil, err
		}
		times = append(times, time.Since(begin).Seconds())
		if err := pause(ctx, editPause); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// serves asks for a path until the answer is 200.
func (r *running) serves(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, editWithin)
	defer cancel()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+path, nil)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", path, err)
		}
		request.Header.Set("authorization", "Bearer "+clientKey(0))
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not served: %w", path, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// held measures streams that are open at once, of a target whose answers are read: their events come so seldom that
// all of them together have as many a second, however many they are.
func (b *bench) held(ctx context.Context, s *stage) ([]report.Open, error) {
	t := row("", "", "keys; tokens are counted", metrics)
	t.name = "scale/streams"
	r, err := t.start(ctx, s, t)
	if err != nil {
		return nil, err
	}
	most, err := heldMost()
	if err != nil {
		return nil, err
	}
	var list []report.Open
	for _, n := range []int{1, 100, 1000, most} {
		b.say(fmt.Sprintf("%d streams at once", n))
		open, err := b.hold(ctx, r, t, n)
		if err != nil {
			return nil, fmt.Errorf("%d streams at once: %w", n, err)
		}
		if open.SilentEnvoyRAM, open.SilentGoRAM, err = b.silent(ctx, r, t, n); err != nil {
			return nil, fmt.Errorf("%d silent streams at once: %w", n, err)
		}
		list = append(list, *open)
	}
	return list, nil
}

// heldMost leaves Envoy, which has two files for each stream, some for itself.
func heldMost() (int, error) {
	const others = 1000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("asking how many files a process may open: %w", err)
	}
	return int(min(heldAtMost, (limit.Max-others)/2)), nil
}

func (b *bench) hold(ctx context.Context, r *running, t *target, n int) (*report.Open, error) {
	interval := time.Duration(n) * time.Second / heldRate
	window := max(heldFor, interval)
	ask := t.ask
	ask.headers = fmt.Sprintf("mock-events: %d\r\nmock-interval: %s\r\n", 20+heldLast/interval, interval)
	held, err := load.Hold(ctx, r.address, n, &b.numbers, ask.streams())
	if err != nil {
		return nil, err //nolint:wrapcheck // held says where
	}
	defer held.Close()
	before, err := r.use()
	if err != nil {
		return nil, err
	}
	events := held.Events()
	if err := pause(ctx, window); err != nil {
		return nil, err
	}
	events = held.Events() - events
	after, err := r.use()
	if err != nil {
		return nil, err
	}
	if held.Ended() || events == 0 {
		return nil, fmt.Errorf("streams did not last: %d events came", events)
	}
	return &report.Open{
		Streams: n, Events: events, Interval: interval.Seconds(),
		EnvoyCPU: microseconds(after.envoyCPU - before.envoyCPU), GoCPU: microseconds(after.goCPU - before.goCPU),
		EnvoyRAM: after.envoyRAM, GoRAM: after.goRAM,
	}, nil
}

// silent is the memory with streams open on which nothing comes any more after the first event.
func (b *bench) silent(ctx context.Context, r *running, t *target, n int) (envoyRAM, goRAM int64, err error) {
	ask := t.ask
	ask.headers = fmt.Sprintf("mock-events: 2\r\nmock-interval: %s\r\n", heldLast)
	held, err := load.Hold(ctx, r.address, n, &b.numbers, ask.streams())
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // held says where
	}
	defer held.Close()
	if err := pause(ctx, rests); err != nil {
		return 0, 0, err
	}
	used, err := r.use()
	if err == nil && held.Ended() {
		err = errors.New("they did not last")
	}
	return used.envoyRAM, used.goRAM, err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
