package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tollgate/envoy"
)

const defaultDrain = 30 * time.Second

// errHurried is why a drain ends at a second signal.
var errHurried = errors.New("a second signal came")

func addDrainFlag(flags *pflag.FlagSet, within *time.Duration) {
	flags.DurationVar(within, "drain", defaultDrain, "how long calls under way get to end by themselves at a stop, in `time` such as 30s or 5m")
}

func drainCommand() *cobra.Command {
	var address string
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have an Envoy take no more connections, and wait until its requests have ended",
		Long: `Drain prepares the end of an Envoy that runs on its own, beside 'tollgate serve': by itself an Envoy that
is told to stop cuts all that is under way. It takes no more connections from then on, and there is no way back
but to start it anew. 'tollgate run' does this by itself.`,
		Example: `  tollgate drain --drain 5m
  tollgate drain --envoy unix:///run/tollgate/envoy.sock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := envoy.NewAdmin(address)
			if err != nil {
				return err //nolint:wrapcheck // it is a sentence
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), within, outOfTime(within))
			defer cancel()
			if err := admin.Drain(ctx); err != nil {
				return withHint(err, "--envoy says where the administration of Envoy listens")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "envoy", "127.0.0.1:9901", "Envoy's administration: an `address`, IP:PORT or unix:///PATH")
	addDrainFlag(cmd.Flags(), &within)
	return cmd
}

// drainTime returns a context that lasts for as long as a drain may: until the time is over, or the next
// signal that says to end.
func drainTime(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	ctx, hurry := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, within, outOfTime(within))
	go func() {
		defer signal.Stop(again)
		select {
		case <-again:
			hurry(errHurried)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); hurry(nil) }
}

func outOfTime(within time.Duration) error { return fmt.Errorf("%s are over", within) }

// drainEnvoy lets Envoy's requests end by themselves, for a while.
func drainEnvoy(ctx context.Context, log *zap.Logger, admin *envoy.Admin, within time.Duration) {
	ctx, cancel := drainTime(ctx, within)
	defer cancel()
	log.Info("draining: no more connections are taken, and requests under way get time to end; a second signal ends all", zap.Duration("within", within))
	if err := admin.Drain(ctx); err != nil {
		log.Warn("what is under way is cut", zap.Error(err))
	}
}

// drainCalls takes no more calls of Envoy's, and lets those under way end by themselves, for a while.
func drainCalls(log *zap.Logger, server *grpc.Server, within time.Duration) {
	ctx, cancel := drainTime(context.Background(), within)
	defer cancel()
	log.Info("draining: requests are refused, and calls under way get time to end; a second signal ends all", zap.Duration("within", within))
	endCalls(ctx, log, server)
}

// endCalls lets the calls of a server end by themselves until ctx ends.
func endCalls(ctx context.Context, log *zap.Logger, server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		log.Warn("calls that are under way are given up", zap.NamedError("why", context.Cause(ctx)))
		server.Stop()
		<-done
	}
}
