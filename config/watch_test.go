package config

import (
	"os"
	"path/filepath"
	"sync"
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

// TestWatchLinks: a file behind links, as Kubernetes has them, is noticed when these lead elsewhere; and what else is
// written in its directory does not keep it from resting.
func TestWatchLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, version := range []string{"1", "2"} {
		require.NoError(t, os.Mkdir(at(version), 0o700))
		require.NoError(t, os.WriteFile(at(version+"/t.yaml"), []byte(version), 0o600))
	}
	require.NoError(t, os.Symlink("1", at("data")))
	require.NoError(t, os.Symlink("data/t.yaml", at("t.yaml")))
	stop, busy := make(chan struct{}), sync.WaitGroup{}
	busy.Go(func() {
		log, err := os.Create(at("log"))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = log.Close() }()
		line := time.NewTicker(time.Millisecond)
		defer line.Stop()
		for {
			select {
			case <-stop:
				return
			case <-line.C:
				_, _ = log.WriteString("x\n")
			}
		}
	})
	changed := make(chan struct{}, 100)
	require.NoError(t, Watch(t.Context(), []string{at("t.yaml")}, func() {}, func() { changed <- struct{}{} }))
	require.NoError(t, os.Symlink("2", at("next")))
	require.NoError(t, os.Rename(at("next"), at("data")))
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Error("nobody is told")
	}
	close(stop)
	busy.Wait()
}
