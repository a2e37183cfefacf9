package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tollgate/config"
	"tollgate/extproc/cache"
)

// askWithin bounds how long an operator waits for the cache's store.
const askWithin = 10 * time.Second

func cacheCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show how full the cache of a running tollgate is, or empty it",
	}
	cmd.PersistentFlags().StringVar(&address, "admin", config.DefaultAdmin, "its `address` for operators")
	verb := func(use, short, method string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return askCache(cmd.Context(), cmd.OutOrStdout(), method, "http://"+address+"/cache")
		}}
	}
	cmd.AddCommand(
		verb("stats", "Print how many answers are kept, in how many bytes", http.MethodGet),
		verb("purge", "Forget all answers", http.MethodDelete),
	)
	return cmd
}

// askCache asks a running tollgate, and prints what it says.
func askCache(ctx context.Context, out io.Writer, method, url string) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return fmt.Errorf("asking for the cache: %w", err)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return withHint(fmt.Errorf("asking for the cache: %w", err), "is tollgate running? --admin says where it listens for operators")
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("asking for the cache: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for the cache: %s: %s", response.Status, said)
	}
	_, err = out.Write(said)
	return err //nolint:wrapcheck // the command's own output
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
