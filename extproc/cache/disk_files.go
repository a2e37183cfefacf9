package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskFiles are the files of one opening of the database. It counts what they take, keeps others from reading
// them, and stands between the database and a disk that cannot be written: pebble ends the process when a write
// to its log or its list of tables fails. From the first write that fails on, nothing more is written, renamed
// or removed, and the database does not hear of it: what is on the disk is as if the process had been killed
// there, which the next opening recovers from. The store opens the database anew soon after.
type diskFiles struct {
	vfs.FS

	bytes   atomic.Int64
	failed  atomic.Bool
	failure error // set before failed
	once    sync.Once
	hear    func() // of the failure
}

// newDiskFiles counts what is there.
func newDiskFiles(on vfs.FS, dir string, hear func()) (*diskFiles, error) {
	f := &diskFiles{FS: on, hear: hear}
	size, err := sizeOf(dir)
	f.bytes.Store(size)
	return f, err
}

// sizeOf is how many bytes the files below a directory have, 0 where there is none.
func sizeOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				total += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err //nolint:wrapcheck // it is below
	})
	if err != nil {
		return 0, fmt.Errorf("counting the cache's files: %w", err)
	}
	return total, nil
}

// fail is what becomes of a write. After one that failed, it has none done.
func (f *diskFiles) fail(err error) {
	f.once.Do(func() {
		f.failure = err
		f.failed.Store(true)
		f.hear()
	})
}

// Failure is the error of the first write that failed.
func (f *diskFiles) Failure() error {
	if !f.failed.Load() {
		return nil
	}
	return f.failure
}

// write does what changes the disk, if it may.
func (f *diskFiles) write(do func() error) {
	if f.failed.Load() {
		return
	}
	if err := do(); err != nil {
		f.fail(err)
	}
}

// size is that of a file, 0 where there is none.
func (f *diskFiles) size(name string) int64 {
	info, err := f.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Create implements [vfs.FS].
func (f *diskFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	made := &diskFile{File: nowhere{}, files: f, log: filepath.Ext(name) == ".log"}
	f.write(func() error {
		before := f.size(name)
		file, err := f.FS.Create(name, category)
		if err != nil {
			return err //nolint:wrapcheck // it names the file
		}
		f.bytes.Add(-before)
		made.File = file
		return os.Chmod(name, 0o600)
	})
	return made, nil
}

// ReuseForWrite implements [vfs.FS]: logs are not used again, since they would take room meanwhile.
func (f *diskFiles) ReuseForWrite(before, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	_ = f.Remove(before) // it is only in the way
	return f.Create(name, category)
}

// OpenDir implements [vfs.FS].
func (f *diskFiles) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the directory
	}
	return &diskFile{File: dir, files: f}, nil
}

// Remove implements [vfs.FS].
func (f *diskFiles) Remove(name string) error {
	if f.failed.Load() {
		return nil
	}
	size := f.size(name)
	err := f.FS.Remove(name)
	if err == nil {
		f.bytes.Add(-size)
	}
	return err //nolint:wrapcheck // it names the file, and the database asks what it is
}

// Rename implements [vfs.FS].
func (f *diskFiles) Rename(before, name string) error {
	f.write(func() error {
		replaced := f.size(name)
		err := f.FS.Rename(before, name)
		if err == nil {
			f.bytes.Add(-replaced)
		}
		return err //nolint:wrapcheck // it names the file
	})
	return nil
}

// Lock implements [vfs.FS]: the whole directory is locked already.
func (f *diskFiles) Lock(string) (io.Closer, error) { return nowhere{}, nil }

// The database does not do these.
func (f *diskFiles) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, fmt.Errorf("opening %s: %w", name, vfs.ErrUnsupported)
}

func (f *diskFiles) Link(_, name string) error {
	return fmt.Errorf("linking %s: %w", name, vfs.ErrUnsupported)
}

func (f *diskFiles) RemoveAll(name string) error {
	return fmt.Errorf("removing %s: %w", name, vfs.ErrUnsupported)
}

// Unwrap implements [vfs.FS].
func (f *diskFiles) Unwrap() vfs.FS { return f.FS }

// diskFile is a file that is written.
type diskFile struct {
	vfs.File

	files *diskFiles
	log   bool // which is synced when it is complete: an answer is not worth waiting for the disk
}

// Write implements [vfs.File].
func (f *diskFile) Write(p []byte) (int, error) {
	f.files.write(func() error {
		n, err := f.File.Write(p)
		f.files.bytes.Add(int64(n))
		return err //nolint:wrapcheck // it names the file
	})
	return len(p), nil
}

// Sync implements [vfs.File].
func (f *diskFile) Sync() error {
	if !f.log {
		f.files.write(f.File.Sync)
	}
	return nil
}

// SyncData implements [vfs.File].
func (f *diskFile) SyncData() error { return f.Sync() }

// SyncTo implements [vfs.File].
func (f *diskFile) SyncTo(int64) (full bool, err error) { return false, nil }

// Preallocate implements [vfs.File]: what is not written yet shall take no room.
func (f *diskFile) Preallocate(_, _ int64) error { return nil }

// Close implements [vfs.File].
func (f *diskFile) Close() error {
	if f.log {
		f.files.write(f.File.Sync)
	}
	if err := f.File.Close(); err != nil {
		f.files.fail(err)
	}
	return nil
}

// nowhere is a file of a disk that cannot be written.
type nowhere struct{}

var errNowhere = errors.New("the file was not written, as others before it could not be")

func (nowhere) Close() error                           { return nil }
func (nowhere) Read([]byte) (int, error)               { return 0, errNowhere }
func (nowhere) ReadAt([]byte, int64) (int, error)      { return 0, errNowhere }
func (nowhere) Write(p []byte) (int, error)            { return len(p), nil }
func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nowhere) Preallocate(_, _ int64) error           { return nil }
func (nowhere) Stat() (vfs.FileInfo, error)            { return vfs.Default.Stat(os.DevNull) } //nolint:wrapcheck // it is that of an empty file
func (nowhere) Sync() error                            { return nil }
func (nowhere) SyncTo(int64) (bool, error)             { return false, nil }
func (nowhere) SyncData() error                        { return nil }
func (nowhere) Prefetch(_, _ int64) error              { return nil }
func (nowhere) Fd() uintptr                            { return vfs.InvalidFd }
