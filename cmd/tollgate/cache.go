package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"tollgate/extproc/cache"
)

func cacheCommand() *cobra.Command {
	var port adminPort
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show how full the cache of a running tollgate is, or empty it",
		Example: `  tollgate cache stats
  tollgate cache purge
  TOLLGATE_ADMIN_TOKEN=... tollgate cache stats --admin 192.0.2.1:8001`,
	}
	port.addFlags(cmd.PersistentFlags())
	verb := func(use, short, method string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return askCache(cmd.Context(), cmd.OutOrStdout(), method, &port)
		}}
	}
	cmd.AddCommand(
		verb("stats", "Print how many answers are kept, in how many bytes", http.MethodGet),
		verb("purge", "Forget all answers", http.MethodDelete),
	)
	return cmd
}

// askCache asks a running tollgate, and prints what it says.
func askCache(ctx context.Context, out io.Writer, method string, port *adminPort) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	response, err := port.ask(ctx, method, "/cache")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(out, io.LimitReader(response.Body, 1<<16)); err != nil {
		return fmt.Errorf("printing what tollgate says: %w", err)
	}
	return nil
}

// cacheStats is what operators read of the cache. What a store cannot know is left out.
type cacheStats struct {
	Entries  *int64 `json:"entries,omitempty"`
	Bytes    *int64 `json:"bytes,omitempty"`
	MaxBytes *int64 `json:"max_bytes,omitempty"`
}

// cacheHandler answers GET with how full the cache is, and forgets all answers at DELETE, which no page
// of another site can send.
func cacheHandler(answers cache.Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cache", func(w http.ResponseWriter, r *http.Request) { writeCacheStats(w, r, answers) })
	mux.HandleFunc("DELETE /cache", func(w http.ResponseWriter, r *http.Request) {
		if err := answers.Purge(r.Context()); err != nil {
			http.Error(w, "the cache cannot be emptied: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		writeCacheStats(w, r, answers)
	})
	return mux
}

func writeCacheStats(w http.ResponseWriter, r *http.Request, answers cache.Store) {
	stats, err := answers.Stats(r.Context())
	if err != nil {
		http.Error(w, "the cache cannot be asked: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	var shown cacheStats
	for n, show := range map[*int64]**int64{&stats.Entries: &shown.Entries, &stats.Bytes: &shown.Bytes, &stats.Max: &shown.MaxBytes} {
		if *n >= 0 {
			*show = n
		}
	}
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(shown)
}
