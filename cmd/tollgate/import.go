package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tollgate/config"
)

func importCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Turn OpenAI-Forward's .env or YAML into a tollgate.yaml that means the same",
		Long: `Import reads OpenAI-Forward's variables, from the environment and FILE (default .env), or its
openai-forward-config.yaml, which counts before them where there is one, and prints a tollgate.yaml. Keys are
printed as references to environment variables; a file written by --output, which only you can read, holds the keys
themselves.`,
		Example: `  tollgate import > tollgate.yaml       # keys as references, which its first lines list
  tollgate import -o tollgate.yaml      # with the keys, readable by you alone`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := forwardFile("")
			if len(args) == 1 {
				file = args[0]
			}
			content, err := os.ReadFile(file)
			if err != nil && (len(args) == 1 || !errors.Is(err, fs.ErrNotExist)) {
				return fmt.Errorf("reading OpenAI-Forward's variables: %w", err)
			}
			yaml, warnings, err := config.Import(file, string(content), os.LookupEnv, output != "")
			if err != nil {
				return fmt.Errorf("the variables cannot be used:\n%w", indent(err))
			}
			for _, warning := range warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+warning)
			}
			if output == "" {
				_, err = cmd.OutOrStdout().Write(yaml)
				return err //nolint:wrapcheck // standard output
			}
			if err := writeNew(output, yaml); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is written, readable by you alone. Where it is called %s it counts from now on, and %s does not.\n", output, defaultConfig, file)
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this `file`, with the keys, instead of printing")
	return cmd
}

// writeNew writes a file that holds keys, and never over another.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return withHint(fmt.Errorf("writing the configuration: %w", err), "move that file away, or name another by --output")
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}
