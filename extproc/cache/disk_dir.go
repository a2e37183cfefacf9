package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Names in the cache's directory.
const (
	answersOf   = "answers-"                                     // what the names of all formats begin with
	answersName = answersOf + string(rune(entryFormat)) + ".lsm" // the database
	old         = ".old"                                         // what its name ends in while it is removed
	corrupt     = ".corrupt"                                     // what its name ends in when it was set aside
	probeName   = "probe"                                        // what is written to see whether the disk can be
)

// lockDir keeps other processes out of a directory, until the file is closed.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cache's directory: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	_ = lock.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another process keeps its cache in %s\nhint: give each a directory of its own, or let them share a Redis", dir)
	}
	return nil, fmt.Errorf("locking the cache's directory: %w", err)
}

// makeDir makes the directory of the database, that nobody else may read. What stands in its place is set aside.
func (d *Disk) makeDir() error {
	info, err := os.Lstat(d.path)
	if err == nil && !info.IsDir() {
		if err := d.setAside(errors.New("it is not a directory")); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return fmt.Errorf("making the cache's directory: %w", err)
	}
	if err := os.Chmod(d.path, 0o700); err != nil { //nolint:gosec // it is a directory
		return fmt.Errorf("making the cache's directory private: %w", err)
	}
	return nil
}

// setAside renames what is damaged; of what was before it there is no more. That there is nothing any more is no
// error.
func (d *Disk) setAside(why error) error {
	to := d.path + corrupt
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("removing what was set aside before: %w", err)
	}
	d.aside.Store(0)
	err := os.Rename(d.path, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("setting aside what is damaged: %w", err)
	}
	d.countAside()
	if d.watch.SetAside != nil {
		d.watch.SetAside(to, why)
	}
	return nil
}

func (d *Disk) countAside() {
	size, err := sizeOf(d.path + corrupt)
	if err != nil {
		size = 0 // it cannot be removed either
	}
	d.aside.Store(size)
}

func (d *Disk) removeAside() {
	_ = os.RemoveAll(d.path + corrupt) // what cannot be removed counts no more
	d.aside.Store(0)
}

// removeAll removes the database, and what was set aside. If the process dies meanwhile, the next one goes on.
func (d *Disk) removeAll() error {
	d.removeAside()
	err := os.Rename(d.path, d.path+old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // Purge does
	}
	return os.RemoveAll(d.path + old) //nolint:wrapcheck // as above
}

// removeLeftovers removes what an end of the process left half removed, and what other formats hold.
func (d *Disk) removeLeftovers() {
	listed, err := os.ReadDir(d.dir)
	if err != nil {
		return // the next start may see it
	}
	for _, entry := range listed {
		name := entry.Name()
		if name != answersName && name != answersName+corrupt && strings.HasPrefix(name, answersOf) {
			_ = os.RemoveAll(filepath.Join(d.dir, name))
		}
	}
}

// probe tells whether the disk can be written: as much as a database writes when it is opened.
func (d *Disk) probe() error {
	path := filepath.Join(d.dir, probeName)
	err := os.WriteFile(path, make([]byte, 2*memoryOf(d.maxBytes)), 0o600)
	if removed := os.Remove(path); !errors.Is(removed, fs.ErrNotExist) { // another may have done so
		err = errors.Join(err, removed)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	return nil
}

// isFull tells whether it is for want of room that something could not be written. That may change by itself.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
