package config

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWatch: of a file that is written all are told, one after the other: that it does not rest any more, that there is
// a pause, that it rests; also where it is replaced, and where it comes anew. And one is told at the beginning.
func TestWatch(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "t.yaml")
	told := make(chan string, 100)
	require.NoError(t, Watch(t.Context(), []string{file}, Notice{
		Touched: func() { told <- "touched" }, Paused: func() { told <- "paused" }, Rested: func() { told <- "rested" },
	}))
	last := ""
	until := func(what string) {
		t.Helper()
		for {
			select {
			case next := <-told:
				if next == "rested" && last == "touched" || next == "paused" && last == "rested" {
					t.Errorf("%s after %s", next, last)
				}
				if last = next; next == what {
					return
				}
			case <-time.After(time.Minute):
				t.Fatal("nobody is told")
			}
		}
	}
	until("rested")
	for _, write := range []func() error{
		func() error { return os.WriteFile(file, []byte("a"), 0o600) },
		func() error { return os.WriteFile(file, []byte("b"), 0o600) },
		func() error { return os.Rename(file, file+".old") },
		func() error { return os.Rename(file+".old", file) },
	} {
		require.NoError(t, write())
		until("touched")
		until("rested")
	}
	require.NoError(t, os.WriteFile(file+".other", nil, 0o600))
	until("rested")
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
	require.NoError(t, Watch(t.Context(), []string{at("t.yaml")}, Notice{Rested: func() { changed <- struct{}{} }}))
	<-changed // at the beginning
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
