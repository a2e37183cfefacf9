package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/usage"
	"tollgate/xds"
)

// live is the configuration in force and the way to a new one. A change is whole or it is not: the
// file is loaded, resolved, built and checked, the gate learns of it, Envoy takes it; where any
// step fails, what was in force before stays so, and it is said.
type live struct {
	log     *zap.Logger
	source  *source
	gate    *extproc.Gate
	control *xds.Server
	metrics *usage.Metrics
	shared  string // see sharedSocket
	history *history
	threads *threads

	// Only follow uses these, once there are others.
	read  []config.File // last; nil: they must be read
	ahead *reading      // of files that may still be written; nil: there is none

	mu      sync.Mutex
	current *config.Config
	started *config.Config // the first one: what is read at the start alone is of it
}

// apply brings a configuration into force.
func (l *live) apply(ctx context.Context, next *config.Config) error {
	resources, err := build(next, l.shared)
	if err != nil {
		return err
	}
	return l.enforce(ctx, next, resources)
}

// enforce does so with what was built of it.
func (l *live) enforce(ctx context.Context, next *config.Config, resources xds.Parts) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The gate first: it knows the routes of both, so whatever Envoy chooses, old or new, it can judge.
	l.gate.Configure(next)
	if err := l.control.Publish(ctx, resources); err != nil {
		if l.current != nil {
			l.gate.Configure(l.current)
		}
		return fmt.Errorf("bringing the configuration into force: %w", err)
	}
	version := resources.Version()
	l.current = next
	if l.started == nil {
		l.started = next
	}
	l.metrics.Configured(version)
	l.history.took(next, version)
	go func() {
		_ = next.Text() // until it is written, it holds what was read
		tidy(next)
	}()
	return nil
}

// adopt begins with what Envoys run by another process, until they can be brought to the configuration.
func (l *live) adopt(c *config.Config, running xds.Parts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate.Configure(c)
	l.control.Adopt(running)
	l.current, l.started = c, c
	l.metrics.Configured(running.Version())
	l.history.took(c, running.Version())
}

// large is how many clients and routes make a configuration large.
const large = 50_000

// tidy collects what reading a configuration took, several times of what it is: else that would be done in the middle
// of the next edit. Of a large one it is given back to the system, too: it would stay for minutes.
func tidy(c *config.Config) {
	if len(c.Clients)+len(c.Routes) > large {
		debug.FreeOSMemory()
	} else {
		runtime.GC()
	}
}

// build makes Envoys' configuration.
func build(c *config.Config, shared string) (xds.Parts, error) {
	var authorities string
	for _, u := range c.Upstreams {
		if u.TLS && u.CA == "" {
			bundle, err := xds.SystemCA()
			if err != nil {
				return nil, err //nolint:wrapcheck // it is a sentence of its own
			}
			authorities = bundle
			break
		}
	}
	return xds.BuildParts(c, authorities, shared) //nolint:wrapcheck // it says what was being done
}

// follow applies every change of the files and every SIGHUP until ctx ends.
func (l *live) follow(ctx context.Context) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	paused, rested := make(chan struct{}, 1), make(chan struct{}, 1)
	watch := l.watch(ctx, paused, rested)
	defer func() { watch.end() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-reload:
			l.read, l.ahead = nil, nil // who asks for it means it: a proxy's name may lead elsewhere by now
		case <-paused:
			l.takeAhead()
			continue
		case <-rested:
			if !watch.rests.Load() {
				continue // they were touched since, and will rest again
			}
		}
		if l.reload(ctx) {
			before := watch
			watch = l.watch(ctx, paused, rested) // it may name other files
			before.end()
		}
	}
}

// watch is one on the files of the configuration in force.
type watch struct {
	rests atomic.Bool // the files do: none was touched since that was said
	end   context.CancelFunc
}

// watch sends to rested whenever one of the configuration's files may have changed, and once at the beginning; to
// paused sooner, while it may still be written.
func (l *live) watch(ctx context.Context, paused, rested chan<- struct{}) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{end: cancel}
	notify := func(whom chan<- struct{}) {
		select {
		case whom <- struct{}{}:
		default: // one is waiting already
		}
	}
	var files []string
	for _, file := range l.inForce().Files {
		files = append(files, file.Path)
	}
	if err := config.Watch(ctx, files, config.Notice{
		Touched: func() { w.rests.Store(false) },
		Paused:  func() { notify(paused) },
		Rested:  func() { w.rests.Store(true); notify(rested) },
	}); err != nil {
		l.log.Warn("changes of the configuration are not noticed by themselves: send SIGHUP", zap.Error(err))
		w.rests.Store(true)
		notify(rested)
	}
	return w
}

func (l *live) inForce() *config.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// spendsOneKey tells whether requests on a route go to an upstream with the only key that it has. Where there are
// several, the gate hears of one that is turned down, and says so.
func (l *live) spendsOneKey(prefix, upstream string) bool {
	return slices.ContainsFunc(l.inForce().Routes, func(r *config.Route) bool {
		return r.Prefix == prefix && slices.ContainsFunc(r.Upstreams(), func(u *config.Upstream) bool {
			return u.Name == upstream && len(u.Keys) == 1
		})
	})
}

// atStart names what differs of the fields that a process reads when it starts, and not again.
func atStart(started, next *config.Config) []string {
	var names []string
	for _, field := range []struct {
		name   string
		differ bool
	}{
		{"admin", !reflect.DeepEqual(next.Admin, started.Admin)},
		{"limit_store", !reflect.DeepEqual(next.LimitStore, started.LimitStore)},
		{"cache_store", !reflect.DeepEqual(next.CacheStore, started.CacheStore)},
		{"chat_log", !reflect.DeepEqual(next.ChatLog, started.ChatLog)},
		{"telemetry.traces", !reflect.DeepEqual(next.Traces, started.Traces)},
		{"telemetry.access_log", (next.Listener.AccessLog == "") != (started.Listener.AccessLog == "")},
	} {
		if field.differ {
			names = append(names, field.name)
		}
	}
	return names
}

// ready answers /readyz: 200 when an Envoy runs the configuration in force and, where it is on this
// machine, its port answers; never after ctx has ended.
func (l *live) ready(ctx context.Context, localEnvoy bool) http.HandlerFunc {
	// Whether the port answers is the question, not whose certificate it shows.
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	return func(w http.ResponseWriter, r *http.Request) {
		version, ready := l.control.Ready()
		err := error(nil)
		if ctx.Err() != nil {
			err = errors.New("draining")
		} else if !ready {
			err = errors.New("no Envoy runs the configuration in force")
		} else if localEnvoy {
			err = portAnswers(r.Context(), client, xds.ReadyURL(&l.inForce().Listener))
		}
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready: version "+version)
	}
}

func portAnswers(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking the clients' port: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the clients' port: %w", err)
	}
	return response.Body.Close() //nolint:wrapcheck // nothing was asked of the body
}
