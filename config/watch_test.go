package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWatch: of a file that is written both are told, whoever prepares something and whoever wants it whole; also where
// it is replaced, and where it comes anew.
func TestWatch(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "t.yaml")
	paused, changed := make(chan struct{}, 100), make(chan struct{}, 100)
	require.NoError(t, Watch(t.Context(), []string{file}, func() { paused <- struct{}{} }, func() { changed <- struct{}{} }))
	for _, write := range []func() error{
		func() error { return os.WriteFile(file, []byte("a"), 0o600) },
		func() error { return os.WriteFile(file, []byte("b"), 0o600) },
		func() error { return os.Rename(file, file+".old") },
		func() error { return os.Rename(file+".old", file) },
	} {
		require.NoError(t, write())
		for _, told := range []chan struct{}{paused, changed} {
			select {
			case <-told:
			case <-time.After(time.Minute):
				t.Fatal("nobody is told")
			}
		}
	}
}
