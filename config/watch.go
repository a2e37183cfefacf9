package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long a file must rest before it counts as written: editors and copies write in
	// several steps, and half a file must not be taken for a whole one.
	quiet = 50 * time.Millisecond

	// pause is how long it must rest for a look in between: most writers are done by then.
	pause = 5 * time.Millisecond
)

// Watch calls changed after any of the files was written, replaced or removed, until ctx ends. It
// watches their directories, so that files swapped by rename or by symbolic link (editors,
// Kubernetes volumes) are noticed too. Before that it calls paused, at each pause in the writing, for
// who has something to prepare. Calls do not overlap. It returns once the watch stands; what it could
// not watch is the error.
func Watch(ctx context.Context, files []string, paused, changed func()) error {
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
	seen := look(files)
	go func() {
		defer func() { _ = watcher.Close() }()
		follow(ctx, watcher, seen, paused, changed)
	}()
	return nil
}

// follow turns bursts of events into single calls.
func follow(ctx context.Context, watcher *fsnotify.Watcher, seen sight, paused, changed func()) {
	short, rest := time.NewTimer(pause), time.NewTimer(quiet)
	short.Stop()
	rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-watcher.Events:
			if !ok {
				return
			}
			if event.Op == fsnotify.Chmod || !seen.touched(event.Name) {
				continue
			}
		case _, ok := <-watcher.Errors:
			if !ok {
				return
			} // else events were lost: look once more
		case <-short.C:
			paused()
			continue
		case <-rest.C:
			changed()
			continue
		}
		short.Reset(pause)
		rest.Reset(quiet)
	}
}

// sight is how files looked from outside, by their paths; nil: it was not there.
type sight map[string]os.FileInfo

func look(files []string) sight {
	seen := sight{}
	for _, file := range files {
		seen[file], _ = os.Stat(file)
	}
	return seen
}

// touched tells whether an event in a watched directory can mean one of the files: it bears its name or, where links
// lead to the file, that is another one since. Else a log that is written there would never let a file rest.
func (s sight) touched(name string) bool {
	touched := false
	for file, before := range s {
		now, _ := os.Stat(file)
		s[file] = now
		touched = touched || filepath.Base(file) == filepath.Base(name) || !sameFile(before, now)
	}
	return touched
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
