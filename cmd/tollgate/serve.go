package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"tollgate/extproc"
	"tollgate/extproc/share"
	"tollgate/xds"
)

const (
	// drainWithin is how long streams get to end by themselves when the process must stop.
	drainWithin = 5 * time.Second

	// closeWithin is how long what was accepted gets to be written, after that.
	closeWithin = 5 * time.Second
)

func serveCommand() *cobra.Command {
	var from source
	var listen string
	var probe bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gate and the xDS server, for an Envoy of your own",
		Long: `Serve answers Envoy's two questions, on one gRPC address: what is your configuration (xDS), and
may this request pass (external processing). Start Envoy with what 'tollgate bootstrap' prints.

The address must be reachable by Envoy alone: a Unix socket where both run on one host.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger()
			defer func() { _ = log.Sync() }()
			return serve(cmd.Context(), log, &from, listen, probe)
		},
	}
	from.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&listen, "listen", "unix:///run/tollgate/tollgate.sock", "gRPC `address` for Envoy: unix:///PATH or IP:PORT")
	cmd.Flags().BoolVar(&probe, "local-envoy", false, "ready only when the clients' port answers on this machine")
	return cmd
}

// serve runs until ctx ends: gRPC for Envoy, HTTP for operators, and the watch on the configuration.
func serve(ctx context.Context, log *zap.Logger, from *source, listen string, localEnvoy bool) error {
	c, err := from.load()
	if err != nil {
		return err
	}
	for _, warning := range c.Warnings {
		log.Warn(warning)
	}
	watching, err := newObservers(ctx, log, c)
	if err != nil {
		return err
	}
	limits, err := newLimits(ctx, log.Named("limits"), c.LimitStore)
	if err != nil {
		return err
	}
	answers, err := newCache(log.Named("cache"), c.CacheStore)
	if err != nil {
		return err
	}
	defer func() { _ = answers.Close() }()
	options := watching.options(log.Named("gate"))
	options.Limits, options.Cache, options.MaxEntry = limits, answers, c.CacheStore.MaxEntryBytes
	socket := sharedSocket(listen)
	if socket != "" {
		options.Shared = share.New(socket)
	}
	gate, control := extproc.NewGate(options), xds.NewServer(log.Named("xds"))
	if err := errors.Join(watching.keyRests(gate), watching.cacheStats(answers)); err != nil {
		return err
	}
	live := &live{log: log, source: from, gate: gate, control: control, metrics: watching.metrics, shared: socket}
	if err := live.apply(ctx, c); err != nil {
		return err
	}

	if !local(listen) {
		log.Warn("keys travel to Envoy in the clear, and whoever reaches this address is trusted: use a Unix socket, or a network of their own",
			zap.String("listen", listen))
	}
	listener, err := listenOn(ctx, listen)
	if err != nil {
		return err
	}
	admin, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Admin.String())
	if err != nil {
		return withHint(fmt.Errorf("listening for operators: %w", err), "is another tollgate running? admin.address in tollgate.yaml moves this one")
	}
	server := newGRPCServer()
	extprocv3.RegisterExternalProcessorServer(server, gate)
	control.Register(ctx, server)
	healthv1.RegisterHealthServer(server, health.NewServer())
	log.Info("serving", zap.String("envoy", listen), zap.Stringer("admin", c.Admin),
		zap.String("configuration", c.Source), zap.String("version", version))

	group, ctx := errgroup.WithContext(ctx)
	calls, noMoreCalls := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return server.Serve(listener) })
	group.Go(func() error {
		return serveAdmin(ctx, admin, live.ready(localEnvoy), watching.handler(control), cacheHandler(answers))
	})
	group.Go(func() error { return live.follow(ctx) })
	group.Go(func() error { gate.Run(calls); return nil })
	group.Go(func() error {
		defer noMoreCalls()
		<-ctx.Done()
		drain(server)
		return nil
	})
	err = group.Wait()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return errors.Join(err, watching.close(closing))
}

// sharedSocket is where Envoy takes the calls that several requests share: beside the socket on which it
// reaches Tollgate. Empty where they share no file system.
func sharedSocket(listen string) string {
	const longest = 100 // the kernel's is 107
	path, isUnix := strings.CutPrefix(listen, "unix://")
	path = strings.TrimSuffix(path, ".sock") + "-shared.sock"
	if !isUnix || len(path) > longest {
		return ""
	}
	return path
}

// local tells whether an address can be reached from this machine only.
func local(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return strings.HasPrefix(address, "unix://") || host == "localhost" || err == nil && ip.IsLoopback()
}

// newGRPCServer is a server for one peer that opens a stream a request, and is trusted.
func newGRPCServer() *grpc.Server {
	return grpc.NewServer(
		grpc.MaxConcurrentStreams(1<<30),
		grpc.MaxRecvMsgSize(64<<20), // a chunk of a body is as large as Envoy's buffers
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)
}

// drain lets the streams end by themselves, for a while.
func drain(server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainWithin):
		server.Stop()
	}
}

// listenOn opens unix:///PATH with mode 0600, or IP:PORT. A socket file that a dead process left
// is replaced; one that still answers is not.
func listenOn(ctx context.Context, address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, "unix://")
	if !isUnix {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listening for Envoy: %w", err)
		}
		return listener, nil
	}
	if connection, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
		_ = connection.Close()
		return nil, withHint(fmt.Errorf("listening for Envoy: another process answers at %s", path), "stop it, or choose another --listen")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listening for Envoy: taking away a socket that is left over: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for Envoy: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("listening for Envoy: closing the socket to others: %w", err)
	}
	return listener, nil
}

// serveAdmin answers operators until ctx ends.
func serveAdmin(ctx context.Context, listener net.Listener, ready http.HandlerFunc, metrics, answers http.Handler) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", ready)
	mux.Handle("GET /metrics", metrics)
	mux.Handle("/cache", answers)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving operators: %w", err)
	}
	return nil
}
