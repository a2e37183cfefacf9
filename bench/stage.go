package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/config"
	"tollgate/envoy"
)

// stage is what targets have in common.
type stage struct {
	dir      string // of their files; its path is short enough for Unix sockets
	self     string // this program
	tollgate string // the program that is measured
	envoy    string
	peers    string // the directory with the peers' programs
	upstream string // host:port
	ends     []func()
}

// newStage makes a directory and starts the upstream.
func newStage(ctx context.Context, tollgate, peers string) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	s := &stage{self: self}
	if s.envoy, err = envoy.Find(); err != nil {
		return nil, err //nolint:wrapcheck // it is a sentence, with a hint
	}
	if err := os.Setenv("ENVOY_PATH", s.envoy); err != nil { // for `tollgate run`, which has a directory of its own
		return nil, fmt.Errorf("telling tollgate of Envoy: %w", err)
	}
	if s.tollgate, err = filepath.Abs(tollgate); err == nil {
		_, err = os.Stat(s.tollgate)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no tollgate to measure: %w\nhint: `make build`, or name one by -tollgate", err)
	}
	if s.peers, err = filepath.Abs(peers); err != nil {
		return nil, fmt.Errorf("finding the peers: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "tgbench"); err != nil {
		return nil, fmt.Errorf("making a directory for the processes: %w", err)
	}
	s.ends = append(s.ends, func() { _ = os.RemoveAll(s.dir) })
	if s.upstream, err = freeAddress(ctx); err != nil {
		return s, err
	}
	upstream, err := s.launch(ctx, filepath.Join(s.dir, "upstream.log"), nil, s.self, "upstream", s.upstream)
	if err != nil {
		return s, err
	}
	return s, upstream.await(ctx, "http://"+s.upstream+"/v1/models")
}

// launch starts a process whose end close waits for.
func (s *stage) launch(ctx context.Context, logs string, env []string, program string, args ...string) (*process, error) {
	p, err := start(ctx, logs, env, program, args...)
	if err == nil {
		s.ends = append(s.ends, func() { <-p.ended })
	}
	return p, err
}

// close waits for the processes, whose context has ended, and takes their files away.
func (s *stage) close() {
	for i := range s.ends {
		s.ends[len(s.ends)-1-i]()
	}
}

func startDirect(_ context.Context, s *stage, _ *target) (*running, error) {
	return &running{address: s.upstream}, nil
}

// startFloor starts Envoy alone, or with a processor that does nothing.
func startFloor(m mode) func(ctx context.Context, s *stage, t *target) (*running, error) {
	return func(ctx context.Context, s *stage, t *target) (*running, error) {
		address, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		c, err := config.Parse(t.name, fmt.Appendf(nil, "listener: {address: %q}\n"+
			"upstreams: [{name: mock, url: %q}]\nroutes: [{prefix: /, upstream: mock}]\n", address, "http://"+s.upstream), os.LookupEnv)
		if err != nil {
			return nil, fmt.Errorf("configuring %s: %w", t.name, err)
		}
		files := filepath.Join(s.dir, strings.ReplaceAll(t.name, "/", "-"))
		text, err := staticEnvoy(c, files+".sock", files+"-admin.sock", m)
		if err == nil {
			err = os.WriteFile(files+".json", text, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("configuring %s: %w", t.name, err)
		}
		r := &running{address: address}
		if m.gate {
			processor, err := s.launch(ctx, files+"-noop.log", nil, s.self, "noop", files+".sock")
			if err != nil {
				return nil, err
			}
			r.gos = []int{processor.pid}
		}
		proxy, err := s.launch(ctx, files+".log", nil, s.envoy, "-c", files+".json",
			"--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
		if err != nil {
			return nil, err
		}
		r.envoys = []int{proxy.pid}
		return r, proxy.await(ctx, "http://"+address+"/v1/models")
	}
}

// startTollgate starts `tollgate run` with a configuration.
func startTollgate(configuration func(upstream string) string) func(ctx context.Context, s *stage, t *target) (*running, error) {
	return func(ctx context.Context, s *stage, t *target) (*running, error) {
		address, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		admin, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(s.dir, strings.ReplaceAll(t.name, "/", "-"))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making a directory for %s: %w", t.name, err)
		}
		text := fmt.Sprintf("listener: {address: %q}\nadmin: {address: %q}\n", address, admin) + configuration("http://"+s.upstream)
		file := filepath.Join(dir, "tollgate.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configuring %s: %w", t.name, err)
		}
		program, begin := cmp.Or(t.program, s.tollgate), time.Now()
		supervisor, err := s.launch(ctx, filepath.Join(dir, "log"), nil, program, "run", "--workers", "1")
		if err != nil {
			return nil, err
		}
		if err := supervisor.await(ctx, "http://"+admin+"/readyz"); err != nil {
			return nil, err
		}
		startedIn := time.Since(begin)
		serve, envoys, err := children(supervisor.pid, program)
		if err != nil {
			return nil, err
		}
		if len(serve) != 1 || len(envoys) != 1 {
			return nil, fmt.Errorf("%s has not one `tollgate serve` and one Envoy, but the processes %v and %v", t.name, serve, envoys)
		}
		return &running{address: address, envoys: envoys, gos: append(serve, supervisor.pid), file: file, startedIn: startedIn}, nil
	}
}

// freeAddress is one of 127.0.0.1 on which nobody listens, and whose port Linux gives to no outgoing
// connection.
func freeAddress(ctx context.Context) (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)) //nolint:gosec // it need not be a secret
		if listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address); err == nil {
			_ = listener.Close()
			return address, nil
		}
	}
	return "", errors.New("no free port was found")
}
