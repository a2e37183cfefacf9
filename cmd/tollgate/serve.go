package main

import (
	"context"
	"errors"
	"net"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/codec"
	"tollgate/extproc/limit"
	"tollgate/extproc/shallow"
	"tollgate/extproc/share"
	"tollgate/xds"
	"tollgate/xds/failures"
)

const (
	// closeWithin is how long what was accepted gets to be written, after the drain.
	closeWithin = 5 * time.Second

	// cannotServe is the exit status of a process that would not get further if it were started again
	// (sysexits' EX_CONFIG).
	cannotServe = 78
)

// errCannotServe is wrapped by errors of the start.
var errCannotServe = errors.New("serving cannot begin")

// serveOptions is what the command line says, beside where the configuration comes from.
type serveOptions struct {
	link       linkFlags     // the way to Envoy
	localEnvoy bool          // Envoy is on this machine, and shares its cores
	drain      time.Duration // how long calls get to end at a stop
	takeOver   bool          // in the place of a process that serves there
	envoyHeap  uint64        // bytes of memory at which Envoy begins to defend itself; 0: the default
}

func serveCommand() *cobra.Command {
	var from source
	var options serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gate and the xDS server, for an Envoy of your own",
		Long: `Serve answers Envoy's two questions, on one gRPC address: what is your configuration (xDS), and
may this request pass (external processing). Start Envoy with what 'tollgate bootstrap' prints.

The address must be reachable by Envoy alone: a Unix socket where both run on one host, else IP:PORT
with TLS, where Envoys show certificates (--tls-client-ca). Certificates are read again when they change.

Ctrl-C or SIGTERM drains: requests are refused from then on, and calls under way are watched to their end, for as
long as --drain says. A second one ends at once.`,
		Example: `  tollgate serve --listen unix:///run/tollgate/tollgate.sock
  tollgate bootstrap > envoy.yaml && envoy -c envoy.yaml        # the other half`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger()
			defer func() { _ = log.Sync() }()
			from.ungrouped = options.localEnvoy
			return serve(cmd.Context(), log, &from, options)
		},
	}
	from.addFlags(cmd.Flags())
	options.link.add(cmd.Flags())
	cmd.Flags().BoolVar(&options.localEnvoy, "local-envoy", false, "Envoy is on this machine: ready only when the clients' port answers, and half of the cores are left to it")
	cmd.Flags().Uint64Var(&options.envoyHeap, "max-heap", 0, "`bytes` of memory at which Envoy begins to defend itself: an eighth of it goes out a second in large answers from the cache (default 2 GiB)")
	addDrainFlag(cmd.Flags(), &options.drain)
	cmd.Flags().BoolVar(&options.takeOver, "take-over", false, "take the place of the tollgate that serves at --listen, if there is one: no request is refused")
	return cmd
}

// serve runs until ctx ends: gRPC for Envoy, HTTP for operators, and the watch on the configuration.
func serve(ctx context.Context, log *zap.Logger, from *source, options serveOptions) error {
	s, err := newService(ctx, log, from, options)
	if err != nil {
		return &startError{err}
	}
	defer func() { _ = s.answers.Close() }()
	return s.run(ctx)
}

// startError is an error of the start, which says what it says.
type startError struct{ error }

func (e *startError) Unwrap() []error { return []error{e.error, errCannotServe} }

// service is all that `tollgate serve` consists of.
type service struct {
	log       *zap.Logger
	options   serveOptions
	watching  *observers
	ledger    *limit.Ledger
	answers   *answers
	gate      *extproc.Gate
	control   *xds.Server
	live      *live
	limits    limit.Store
	operators *operators
	admin     *desk
	place     *place
	listener  net.Listener // for Envoy
	secured   []grpc.ServerOption
}

// newService makes everything that can fail. Where it takes the place of another process, that one has yielded
// from the middle of it on: what only one can have comes after that.
func newService(ctx context.Context, log *zap.Logger, from *source, options serveOptions) (_ *service, err error) {
	c, err := from.load()
	if err != nil {
		return nil, err
	}
	for _, warning := range c.Warnings {
		log.Warn(warning)
	}
	s := &service{log: log, options: options, control: xds.NewServer(log.Named("xds")), ledger: newLedger(ctx)}
	if s.secured, err = options.link.options(ctx, log); err != nil {
		return nil, err
	}
	if s.watching, err = newObservers(ctx, log, c); err != nil {
		return nil, err
	}
	if s.place, err = newPlace(ctx, s); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.place.giveUp()
		}
	}()
	if s.answers, err = newCache(log.Named("cache"), c.CacheStore); err != nil {
		return nil, err
	}
	if err := s.decide(ctx, c); err != nil {
		return nil, err
	}
	s.live = &live{
		log: log, source: from, gate: s.gate, control: s.control, metrics: s.watching.metrics,
		shared: sharedSocket(options.link.listen), history: &history{}, read: c.Files,
		threads: threadsBeside(options.localEnvoy),
	}
	if err := s.place.apply(ctx, c); err != nil {
		return nil, err
	}
	return s, s.listen(ctx, c)
}

// listen opens the ports.
func (s *service) listen(ctx context.Context, c *config.Config) (err error) {
	s.operators = s.newOperators(c.Admin, s.limits)
	s.admin = &desk{
		log: s.log, address: c.Admin.Address.String(),
		handler: s.operators.handler(s.live.ready(ctx, s.options.localEnvoy)),
	}
	if err := s.admin.open(ctx); err != nil {
		return err
	}
	if s.listener, err = s.place.listen(ctx); err != nil {
		return err
	}
	s.log.Info("serving", zap.String("envoy", s.options.link.listen), zap.Bool("tls", s.options.link.tls()), zap.Stringer("admin", c.Admin.Address),
		zap.String("configuration", c.Source), zap.String("version", version))
	return nil
}

// decide makes the gate.
func (s *service) decide(ctx context.Context, c *config.Config) error {
	var err error
	if s.limits, err = newLimits(ctx, s.log.Named("limits"), c.LimitStore, s.ledger); err != nil {
		return err
	}
	options := s.watching.options(s.log.Named("gate"))
	options.Limits, options.Cache, options.MaxEntry = s.limits, s.answers, c.CacheStore.MaxEntryBytes
	options.Before, options.EnvoyHeap = s.place.gateBefore, s.options.envoyHeap
	if socket := sharedSocket(s.options.link.listen); socket != "" {
		options.Shared = share.New(socket)
	}
	s.gate = extproc.NewGate(options)
	return errors.Join(s.watching.keyRests(s.gate), s.watching.cacheStats(s.answers))
}

// run serves until ctx ends or another process takes the place, then drains, and writes what was accepted.
func (s *service) run(ctx context.Context) error {
	ctx, s.place.end = context.WithCancelCause(ctx)
	defer s.place.end(nil)
	defer s.place.limits.Close()
	s.live.threads.serve()
	group, ctx := errgroup.WithContext(ctx)
	calls, noMoreCalls := context.WithCancel(context.WithoutCancel(ctx))
	discovery, noMoreDiscovery := context.WithCancel(calls)

	server := newGRPCServer(s.secured...)
	extprocv3.RegisterExternalProcessorServer(server, shallow.Server(s.gate, codec.New(), maxMessage))
	s.control.Register(discovery, server)
	failures.New(s.log.Named("upstreams"), time.Now, s.live.spendsOneKey).Register(discovery, server)
	healthv1.RegisterHealthServer(server, health.NewServer())
	s.place.register(server)

	group.Go(func() error { return server.Serve(s.listener) })
	group.Go(func() error {
		s.place.settle(ctx)
		return s.live.follow(ctx)
	})
	group.Go(func() error { s.operators.points.Run(calls); return nil })
	group.Go(func() error { s.gate.Run(calls); return nil })
	group.Go(func() error { collect(ctx); return nil })
	group.Go(func() error {
		defer noMoreCalls()
		<-ctx.Done()
		defer s.admin.close()
		if errors.Is(context.Cause(ctx), errTakenOver) {
			s.place.handOn(server, noMoreDiscovery)
			return nil
		}
		noMoreDiscovery()
		drainCalls(s.log, server, s.options.drain)
		return nil
	})
	err := group.Wait()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return errors.Join(err, s.watching.close(closing))
}
