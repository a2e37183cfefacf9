package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tollgate/config"
)

func healthCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a tollgate on this machine is alive (for containers without an HTTP client)",
		Long: `Health asks for /healthz on the admin port, and exits with 0 where the answer is 200. Whether an Envoy runs the
configuration in force is another question: /readyz.`,
		Example: `  tollgate health && echo alive
  tollgate health --admin 127.0.0.1:9001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return healthy(cmd.Context(), "http://"+address+"/healthz")
		},
	}
	cmd.Flags().StringVar(&address, "admin", config.DefaultAdmin, "its `address` for operators")
	return cmd
}

// healthy wants a 200.
func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: %s", url, response.Status)
	}
	return nil
}
