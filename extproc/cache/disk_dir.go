package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	temporary = "tmp"      // where files lie until they are whole
	old       = ".old"     // what the name of all answers ends in while they are removed
	corrupt   = ".corrupt" // what names of files end in that are set aside
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
		return nil, fmt.Errorf("another process keeps its cache in %s: give each a directory of its own, or let them share a Redis", dir)
	}
	return nil, fmt.Errorf("locking the cache's directory: %w", err)
}

// removeLeftovers removes what an end of the process left half done.
func (d *Disk) removeLeftovers() error {
	for _, left := range []string{d.answers + old, filepath.Join(d.answers, temporary)} {
		if err := os.RemoveAll(left); err != nil && !errors.Is(err, syscall.ENOTDIR) {
			return err //nolint:wrapcheck // who calls it does
		}
	}
	return nil
}

// makeDirs makes the directories that are missing.
func (d *Disk) makeDirs() error {
	made := []string{d.answers, filepath.Join(d.answers, temporary)}
	for n := range 256 {
		made = append(made, d.bucket(n))
	}
	for _, dir := range made {
		if err := d.makeDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) bucket(n int) string { return filepath.Join(d.answers, fmt.Sprintf("%02x", n)) }

// makeDir makes a directory that nobody else may read. What stands in its place is set aside.
func (d *Disk) makeDir(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		d.rename(dir, errors.New("it is not a directory"))
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return err //nolint:wrapcheck // who calls makeDirs does
	}
	return os.Chmod(dir, 0o700) //nolint:wrapcheck,gosec // as above; it is a directory
}

// rename sets a damaged file aside. Of two that find the same one, the first does.
func (d *Disk) rename(path string, why error) {
	if os.Rename(path, path+corrupt) == nil && d.setAside != nil {
		d.setAside(path+corrupt, why)
	}
}
