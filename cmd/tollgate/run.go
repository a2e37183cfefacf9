package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"tollgate/config"
	"tollgate/envoy"
)

func runCommand() *cobra.Command {
	var from source
	var workers int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run everything: Envoy, the gate and the xDS server",
		Long: `Run starts 'tollgate serve' and Envoy, and keeps both running. Ctrl-C ends all.

Envoy is the one that $ENVOY_PATH names, else envoy on PATH, else the one that 'make envoy' got.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger()
			defer func() { _ = log.Sync() }()
			return run(cmd.Context(), log, &from, workers)
		},
	}
	from.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&workers, "workers", 0, "Envoy's `threads` for clients (default: one a core)")
	return cmd
}

// run supervises Envoy and `tollgate serve` until ctx ends.
func run(ctx context.Context, log *zap.Logger, from *source, workers int) error {
	program, err := envoy.Find()
	if err != nil {
		return err //nolint:wrapcheck // it is a sentence, with a hint
	}
	c, err := from.load()
	if err != nil {
		return err
	}
	if err := free(ctx, c); err != nil {
		return err
	}
	dir, err := newRunDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	terminal := term.IsTerminal(int(os.Stdout.Fd())) //nolint:gosec // a file descriptor is small
	banner(os.Stdout, c, terminal)
	gate := "unix://" + filepath.Join(dir, "gate.sock")
	return supervise(ctx, log,
		child{name: "envoy", command: func() (*exec.Cmd, error) {
			return envoy.Process{
				Path:     program,
				Workers:  workers,
				JSONLogs: !term.IsTerminal(int(os.Stderr.Fd())), //nolint:gosec // a file descriptor is small
				Bootstrap: envoy.Bootstrap{
					Gate:  gate,
					Admin: "unix://" + filepath.Join(dir, "envoy.sock"),
				},
			}.Command()
		}},
		child{name: "serve", command: func() (*exec.Cmd, error) {
			return self(append([]string{"serve", "--listen", gate, "--local-envoy"}, from.args()...)...)
		}},
	)
}

// free sees that nobody holds the ports yet: Envoy would share them silently with another Envoy.
func free(ctx context.Context, c *config.Config) error {
	for what, address := range map[string]string{"clients": c.Listener.Address.String(), "operators": c.Admin.String()} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return withHint(fmt.Errorf("the port for %s, %s, cannot be had: %w", what, address, err),
				"is another tollgate running? stop it, or choose other addresses in tollgate.yaml (clients: also by --port)")
		}
		_ = listener.Close()
	}
	return nil
}
