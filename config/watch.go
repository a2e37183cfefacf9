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

	// seldom is how long it takes at most until something else in the files' directories leads to a look: a file may
	// have come there that counts from now on. A log that is written there neither hinders nor hastens it.
	seldom = time.Second
)

// Notice is told of files. Calls do not overlap; nil: nobody is.
type Notice struct {
	// Touched is told at once that one of the files is written, replaced or removed, and so does not rest.
	Touched func()

	// Paused is told of each pause in the writing, for who has something to prepare.
	Paused func()

	// Rested is told that the files rest, after they were touched, and once at the beginning: they may have changed
	// before the watch stood.
	Rested func()
}

// Watch tells of files until ctx ends. It watches their directories, so that files swapped by rename or by
// symbolic link (editors, Kubernetes volumes) are noticed too. It returns once the watch stands; what it
// could not watch is the error.
func Watch(ctx context.Context, files []string, told Notice) error {
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
	for _, tell := range []*func(){&told.Touched, &told.Paused, &told.Rested} {
		if *tell == nil {
			*tell = func() {}
		}
	}
	seen := look(files)
	go func() {
		defer func() { _ = watcher.Close() }()
		follow(ctx, watcher, seen, told)
	}()
	return nil
}

// follow turns bursts of events into single calls.
func follow(ctx context.Context, watcher *fsnotify.Watcher, seen sight, told Notice) {
	short, rest, waits := time.NewTimer(pause), time.NewTimer(quiet), true
	short.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-watcher.Events:
			switch {
			case !ok:
				return
			case event.Op == fsnotify.Chmod:
				continue
			case !seen.touched(event.Name):
				if !waits {
					rest.Reset(seldom)
					waits = true
				}
				continue
			}
		case _, ok := <-watcher.Errors:
			if !ok {
				return
			} // else events were lost: look once more
		case <-short.C:
			told.Paused()
			continue
		case <-rest.C:
			waits = false
			told.Rested()
			continue
		}
		told.Touched()
		short.Reset(pause)
		rest.Reset(quiet)
		waits = true
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
// lead to the file, that is another one since.
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
