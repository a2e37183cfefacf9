package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"tollgate/cmd/tollgate/dashboard"
	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/chatlog"
	"tollgate/extproc/exchange"
	"tollgate/extproc/limit"
	"tollgate/extproc/usage"
	"tollgate/xds"
)

// observers is who looks on: metrics, spans and the chat log. What the configuration says of them
// when the process starts is what counts; which routes they look at can change.
type observers struct {
	calls   *zap.Logger // nil: no line a call
	metrics *usage.Metrics
	tracer  *usage.Tracer    // nil: no spans
	chats   *chatlog.Log     // nil: not recorded
	recent  *dashboard.Chats // nil: none are shown
}

func newObservers(ctx context.Context, log *zap.Logger, c *config.Config) (*observers, error) {
	o := &observers{metrics: usage.NewMetrics(version)}
	o.metrics.Skipped(extproc.SkippedBody, 0) // so that the first one shows as a rise
	if c.Listener.AccessLog != "" {
		o.calls = log.Named("calls")
	}
	if c.ChatLog != nil {
		options := o.chatLog(log, c.ChatLog)
		if c.Admin.RecentChats > 0 {
			o.recent = recentChats(c)
			options.Told = o.recent.Line
		}
		o.chats = chatlog.New(options)
	}
	if t := c.Traces; t != nil {
		tracer, err := usage.NewTracer(ctx, usage.TraceOptions{
			Endpoint:    t.Endpoint,
			Protocol:    t.Protocol,
			SampleRatio: t.Sample,
			Prompts:     t.Prompts,
			Version:     version,
			Address:     addressOf(c),
			Lost:        o.metrics.SpansLost,
			Failed: func(err error) {
				log.Warn("spans cannot be sent; they are dropped until the collector answers", zap.Error(err))
			},
		})
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what was being done
		}
		o.tracer = tracer
	}
	return o, nil
}

// chatLog says how chats are recorded, and where losses are told.
func (o *observers) chatLog(log *zap.Logger, c *config.ChatLog) chatlog.Options {
	for _, reason := range []string{chatlog.LostQueue, chatlog.LostDisk, chatlog.LostLong} {
		o.metrics.ChatLogLost(reason, 0) // so that the first one shows as a rise
	}
	options := chatlog.Options{
		Dir: c.Dir, MaxFileBytes: c.MaxFileBytes, MaxFiles: c.MaxFiles, Location: c.Location,
		Redact: c.Redact, Drop: c.DropFields, Sample: c.Sample,
		Lost: o.metrics.ChatLogLost,
		Failed: func(err error) {
			if err == nil {
				log.Info("the chat log is written again")
				return
			}
			log.Error("the chat log cannot be written; serving goes on, and lines are lost until it can", zap.Error(err))
		},
	}
	if c.Print {
		options.Print = os.Stdout
	}
	return options
}

// recentChats keeps chats for the dashboard. Where a rule must see the whole of an answer before it may be
// shown, none is shown as it arrives.
func recentChats(c *config.Config) *dashboard.Chats {
	ruled := len(c.ChatLog.Redact) > 0 || slices.Contains(c.ChatLog.DropFields, "assistant")
	return dashboard.NewChats(c.Admin.RecentChats, !ruled)
}

// addressOf looks up where an upstream is, by its name.
func addressOf(c *config.Config) func(string) (string, int) {
	upstreams := map[string]*config.Upstream{}
	for _, u := range c.Upstreams {
		upstreams[u.Name] = u
	}
	return func(name string) (string, int) {
		u, ok := upstreams[name]
		if !ok {
			return "", 0
		}
		return u.Host, int(u.Port)
	}
}

// options are those of a gate that they look at.
func (o *observers) options(log *zap.Logger) extproc.Options {
	options := extproc.Options{
		Log: log,
		Refused: func(route *config.Route, code string) {
			if !route.Metered { // else its meter counts it
				o.metrics.Refused(route.Prefix, code)
			}
		},
		Headroom: func(route *config.Route, client *config.Client, of config.Quantity, left limit.Headroom) {
			if client != nil { // addresses are without number
				o.metrics.Headroom(route.Prefix, client.Name, string(of), left.Limit, left.Remaining, left.Reset)
			}
		},
		KeyAnswered: func(upstream *config.Upstream, key string, status int) {
			o.metrics.KeyAnswered(upstream.Name, key, status)
		},
		Settled: func(route *config.Route, reserved, used uint64) {
			o.metrics.Settled(route.Prefix, reserved, used)
		},
		Shadowed: func(route *config.Route) { o.metrics.Shadowed(route.Prefix) },
		Cached: func(route *config.Route, result exchange.CacheResult, spared extproc.Spared) {
			o.metrics.Cached(route.Prefix, result, spared.Bytes, spared.Usage, spared.Took)
		},
		Skipped: func(what string) { o.metrics.Skipped(what, 1) },
		Observe: []func(*config.Route, *exchange.Call) extproc.Listener{
			func(route *config.Route, call *exchange.Call) extproc.Listener {
				if !route.Metered {
					return nil
				}
				return o.metrics.Begin(call)
			},
		},
	}
	if o.tracer != nil {
		options.Observe = append(options.Observe, func(route *config.Route, call *exchange.Call) extproc.Listener {
			if !route.Traced {
				return nil
			}
			return o.tracer.Begin(call)
		})
	}
	if o.chats != nil {
		options.Observe = append(options.Observe, func(route *config.Route, call *exchange.Call) extproc.Listener {
			if !route.Log {
				return nil
			}
			if record := o.chats.Begin(call); record != nil {
				return record
			}
			return nil
		})
	}
	if o.recent != nil { // after the chat log, which tells it what may be shown
		options.Observe = append(options.Observe, func(route *config.Route, call *exchange.Call) extproc.Listener {
			if !route.Log {
				return nil
			}
			return o.recent.Begin(call)
		})
	}
	if o.calls != nil {
		options.Observe = append(options.Observe, func(_ *config.Route, call *exchange.Call) extproc.Listener {
			return &callLine{log: o.calls, call: call}
		})
	}
	return options
}

// keyRests shows how long upstreams' keys rest.
func (o *observers) keyRests(gate *extproc.Gate) error {
	return o.metrics.Register(usage.KeyRests(func(yield func(string, string, time.Duration)) { //nolint:wrapcheck // it says what was being done
		for _, k := range gate.KeyRests() {
			yield(k.Upstream, k.Key, k.For)
		}
	}))
}

// handler answers /metrics.
func (o *observers) handler(control *xds.Server) http.Handler {
	metrics := o.metrics.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.metrics.Envoys(control.Envoys())
		metrics.ServeHTTP(w, r)
	})
}

// close writes what was accepted.
func (o *observers) close(ctx context.Context) error {
	var err error
	if o.chats != nil {
		err = errors.Join(err, o.chats.Close(ctx))
	}
	if o.tracer != nil {
		err = errors.Join(err, o.tracer.Shutdown(ctx))
	}
	return err
}
