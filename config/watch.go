package config

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long a file must rest before it counts as written: editors and copies write in
// several steps, and half a file must not be taken for a whole one.
const quiet = 50 * time.Millisecond

// Watch calls changed after any of the files was written, replaced or removed, until ctx ends. It
// watches their directories, so that files swapped by rename or by symbolic link (editors,
// Kubernetes volumes) are noticed too. Calls do not overlap. It returns once the watch stands; what
// it could not watch is the error.
func Watch(ctx context.Context, files []string, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the configuration: %w", err)
	}
	for _, file := range files {
		if err := watcher.Add(filepath.Dir(file)); err != nil {
			_ = watcher.Close()
			return fmt.Errorf("watching the directory of %s: %w", file, err)
		}
	}
	go func() {
		defer func() { _ = watcher.Close() }()
		follow(ctx, watcher, changed)
	}()
	return nil
}

// follow turns bursts of events into single calls. Any event in a watched directory counts: which
// one means the file cannot be told where links lead to it.
func follow(ctx context.Context, watcher *fsnotify.Watcher, changed func()) {
	rest := time.NewTimer(quiet)
	rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-watcher.Events:
			if !ok {
				return
			}
			if event.Op != fsnotify.Chmod {
				rest.Reset(quiet)
			}
		case _, ok := <-watcher.Errors:
			if !ok {
				return
			}
			rest.Reset(quiet) // events were lost: look once more
		case <-rest.C:
			changed()
		}
	}
}
