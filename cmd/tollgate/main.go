// Command tollgate is an LLM gateway: Envoy carries the traffic, this program decides who may pass.
//
// One file holds one verb. `tollgate help` lists them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is stamped in by the build.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "tollgate: "+err.Error())
	if errors.Is(err, errCannotServe) {
		os.Exit(cannotServe)
	}
	os.Exit(1)
}

// root is the command line: its verbs and what they have in common.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tollgate",
		Short: "An LLM gateway: Envoy carries every byte, tollgate decides who may pass.",
		Long: `Tollgate keeps the real keys of OpenAI-style APIs away from clients, who get their own, and
reaches many upstreams on one port.

  tollgate run        everything at once: the quickest way to a working gateway
  tollgate serve      the Go process alone, beside an Envoy of your own

It reads tollgate.yaml in the working directory, else OpenAI-Forward's openai-forward-config.yaml or .env.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(err, "`"+cmd.CommandPath()+" --help` lists the flags")
	})
	cmd.SetVersionTemplate("tollgate {{.Version}}\n")
	cmd.AddCommand(
		runCommand(), serveCommand(), validateCommand(), schemaCommand(), importCommand(), exportCommand(), bootstrapCommand(),
		drainCommand(), topCommand(), logsCommand(), convertCommand(), cacheCommand(), mockCommand(), healthCommand(), versionCommand(),
	)
	return cmd
}

// withHint adds a line that says what to do.
func withHint(err error, hint string) error {
	return fmt.Errorf("%w\nhint: %s", err, hint)
}

// indent sets the lines of an error that has many off from the sentence before them.
func indent(err error) error {
	return errors.New("  " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
}
