package main

import (
	"github.com/spf13/cobra"

	"tollgate/envoy"
)

func bootstrapCommand() *cobra.Command {
	var b envoy.Bootstrap
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print the bootstrap of an Envoy that asks 'tollgate serve'",
		Example: `  tollgate bootstrap > envoy.yaml && envoy -c envoy.yaml
  tollgate bootstrap --gate 10.0.0.5:9000 --node edge-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			yaml, err := b.YAML()
			if err != nil {
				return err //nolint:wrapcheck // it says which address
			}
			_, err = cmd.OutOrStdout().Write(yaml)
			return err //nolint:wrapcheck // standard output
		},
	}
	cmd.Flags().StringVar(&b.Gate, "gate", "", "where 'tollgate serve' listens: unix:///PATH or HOST:PORT (default unix:///run/tollgate/tollgate.sock)")
	cmd.Flags().StringVar(&b.Admin, "admin", "", "where Envoy's administration shall listen (default 127.0.0.1:9901)")
	cmd.Flags().StringVar(&b.NodeID, "node", "", "what tollgate's logs call this Envoy (default envoy)")
	cmd.Flags().Uint64Var(&b.MaxHeapBytes, "max-heap", 0, "`bytes` of memory at which Envoy begins to defend itself (default 2 GiB)")
	cmd.Flags().Uint64Var(&b.MaxConnections, "max-connections", 0, "how many clients may be connected (default 50000)")
	return cmd
}
