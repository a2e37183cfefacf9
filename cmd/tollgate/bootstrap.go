package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/envoy"
)

func bootstrapCommand() *cobra.Command {
	var b envoy.Bootstrap
	var tls envoy.TLS
	var out string
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print the bootstrap of an Envoy that asks 'tollgate serve'",
		Long: `Bootstrap prints what an Envoy must know to find 'tollgate serve'; all else comes from there.

With TLS there are files beside it, which Envoy reads again when certificates are renewed: all are written
into the directory of --out. Put renewed certificates in place by rename (mv), which Envoy notices.`,
		Example: `  tollgate bootstrap > envoy.yaml && envoy -c envoy.yaml
  tollgate bootstrap --gate 10.0.0.5:9000 --node edge-1 --group edge
  tollgate bootstrap --gate gate.internal:9000 --node edge-1 --out /etc/envoy \
    --tls-ca /etc/envoy/tls/ca.crt --tls-cert /etc/envoy/tls/tls.crt --tls-key /etc/envoy/tls/tls.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tls != (envoy.TLS{}) {
				b.TLS = &tls
			}
			files, err := bootstrapFiles(&b, out)
			if err != nil {
				return err
			}
			if out != "" {
				return writeFiles(out, files)
			}
			_, err = cmd.OutOrStdout().Write(files[envoy.BootstrapFile])
			return err //nolint:wrapcheck // standard output
		},
	}
	cmd.Flags().StringVar(&b.Gate, "gate", "", "where 'tollgate serve' listens: unix:///PATH or HOST:PORT (default unix:///run/tollgate/tollgate.sock)")
	cmd.Flags().StringVar(&b.Admin, "admin", "", "where Envoy's administration shall listen (default 127.0.0.1:9901)")
	cmd.Flags().StringVar(&b.NodeID, "node", "", "what tollgate's logs call this Envoy (default envoy)")
	cmd.Flags().StringVar(&b.Group, "group", "", "the `group` of the configuration's that it belongs to (default none)")
	cmd.Flags().Uint64Var(&b.MaxHeapBytes, "max-heap", 0, "`bytes` of memory at which Envoy begins to defend itself (default 2 GiB)")
	cmd.Flags().Uint64Var(&b.MaxConnections, "max-connections", 0, "how many clients may be connected (default 50000)")
	cmd.Flags().StringVar(&out, "out", "", "write into this `directory` instead of printing")
	addTLSFlags(cmd.Flags(), &tls)
	return cmd
}

// addTLSFlags are paths on Envoy's machine.
func addTLSFlags(flags *pflag.FlagSet, tls *envoy.TLS) {
	flags.StringVar(&tls.Authorities, "tls-ca", "", "PEM `file`, on Envoy's machine, with the authorities that vouch for tollgate: Envoy speaks TLS")
	flags.StringVar(&tls.Certificate, "tls-cert", "", "PEM `file`, on Envoy's machine, with the certificate that Envoy shows")
	flags.StringVar(&tls.PrivateKey, "tls-key", "", "PEM `file`, on Envoy's machine, with its private key")
	flags.StringVar(&tls.ServerName, "tls-name", "", "the `name` that must be in tollgate's certificate (default the host of --gate)")
	flags.StringVar(&tls.Dir, "dir", "", "the `directory` of --out on Envoy's machine, if it is another there")
}

// bootstrapFiles renders all that Envoy needs.
func bootstrapFiles(b *envoy.Bootstrap, out string) (map[string][]byte, error) {
	if b.TLS != nil && out == "" {
		return nil, withHint(errors.New("with TLS there are files beside the bootstrap"), "name a directory for all of them by --out")
	}
	if b.TLS != nil && b.TLS.Dir == "" {
		dir, err := filepath.Abs(out)
		if err != nil {
			return nil, fmt.Errorf("looking for the directory of --out: %w", err)
		}
		b.TLS.Dir = dir
	}
	return b.Files() //nolint:wrapcheck // it says what is wrong
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Envoy may run as another user; no secret is in these files
		return fmt.Errorf("writing the bootstrap: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil { //nolint:gosec // see above
			return fmt.Errorf("writing the bootstrap: %w", err)
		}
	}
	return nil
}
