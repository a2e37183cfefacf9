package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tollgate/test/mock"
)

func mockCommand() *cobra.Command {
	var listen string
	var keys []string
	cmd := &cobra.Command{
		Use:   "mock",
		Short: "Run an upstream that speaks OpenAI's API without a model, for trials and benchmarks",
		Long: `Mock answers chat completions, streams, embeddings, files and the rest of OpenAI's API with fixed
texts, so a gateway can be tried and measured without a bill. Request headers order its behaviour:
'mock-status: 429' answers so, 'mock-events: 1000' streams so many events; the package's
documentation (test/mock) lists them.

OpenAI-Forward's BENCHMARK_MODE is its path /benchmark/v1/chat/completions.`,
		Example: `  tollgate mock
  curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \
    -d '{"model": "any", "messages": [{"role": "user", "content": "Hello"}]}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return withHint(fmt.Errorf("listening: %w", err), "choose another address by --listen")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the mock upstream listens at http://%s\n", listener.Addr())
			return serveMock(cmd.Context(), listener, mock.New(mock.Options{Keys: keys}))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "`address` to listen at")
	cmd.Flags().StringSliceVar(&keys, "key", nil, "a `key` to accept; without any, everyone may call")
	return cmd
}

// serveMock answers until ctx ends.
func serveMock(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the mock: %w", err)
	}
	return nil
}
