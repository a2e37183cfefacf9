package main

import (
	"github.com/spf13/cobra"

	"tollgate/config"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of tollgate.yaml, for editors",
		Long: `Schema prints the JSON Schema of tollgate.yaml, by which editors complete and check it as it is written.
Most of them look at the file's first line:

  tollgate schema > tollgate.schema.json

  # yaml-language-server: $schema=tollgate.schema.json
  upstreams:
    ...`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.JSONSchema())
			return err //nolint:wrapcheck // standard output
		},
	}
}
