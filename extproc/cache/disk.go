package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Disk keeps entries in a directory, each in a file of its own: below answers-1 (the format), named by its
// key. A file comes into being whole, by being renamed, so whatever ends the process leaves entries or
// nothing; after a loss of power one may be damaged, which its checksum tells. Nothing is synced: the
// system writes when it likes.
//
// It is not an embedded database, because of what those do where they are in trouble: badger ends the
// whole process when the disk is full (it writes to mapped memory) or a table is damaged, pebble when its
// log cannot be written. Here each of these is an error of one call.
type Disk struct {
	dir, answers string
	maxBytes     int64
	maxEntry     int
	setAside     func(path string, err error)
	now          func() time.Time
	lock         *os.File

	entries, bytes atomic.Int64 // as of the last sweep, and what was put since

	mu     sync.RWMutex // held by itself to take all entries away, or to close
	closed bool

	sweeping sync.Mutex
	full     chan struct{} // asks for a sweep
	stop     chan struct{}
	stopped  sync.WaitGroup
	counted  chan struct{} // closed after the first sweep
}

// NewDisk returns a store in a directory, which is made if it is missing, of at most maxBytes as the disk
// counts them (in blocks), of entries whose bodies have at most maxEntry bytes. It is an error if another
// process has the directory. Damaged files are renamed to end in .corrupt, which setAside hears of, if it
// is not nil: they take room until they are the oldest.
func NewDisk(dir string, maxBytes int64, maxEntry int, setAside func(path string, err error)) (*Disk, error) {
	return newDisk(dir, maxBytes, maxEntry, setAside, time.Now)
}

func newDisk(dir string, maxBytes int64, maxEntry int, setAside func(path string, err error), now func() time.Time) (*Disk, error) {
	d := &Disk{
		dir: dir, answers: filepath.Join(dir, "answers-"+string(rune(entryFormat))),
		maxBytes: maxBytes, maxEntry: maxEntry, setAside: setAside, now: now,
		full: make(chan struct{}, 1), stop: make(chan struct{}), counted: make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache's directory: %w", err)
	}
	var err error
	if d.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := errors.Join(d.removeLeftovers(), d.makeDirs()); err != nil {
		_ = d.lock.Close()
		return nil, fmt.Errorf("preparing the cache's directory: %w", err)
	}
	d.stopped.Go(d.keepSweeping)
	return d, nil
}

// Get implements [Store].
func (d *Disk) Get(_ context.Context, key Key) (*Entry, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, errClosed
	}
	path := d.path(key)
	data, err := d.read(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTooLarge) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading an answer from the disk: %w", err)
	}
	entry, err := decode(key, data, d.maxEntry)
	switch {
	case errors.Is(err, errTooLarge): // the bound was a higher one when it was put
		return nil, nil
	case err != nil:
		d.rename(path, err)
		return nil, nil
	case !d.now().Before(entry.Expires):
		return nil, nil
	}
	return entry, nil
}

// read reads a file that is not larger than any entry can be.
func (d *Disk) read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // Get does
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // Get does
	}
	const most = 64 << 10 // of an entry beside its body
	if info.Size() > int64(d.maxEntry)+most {
		return nil, errTooLarge
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(file, data)
	return data, err //nolint:wrapcheck // Get does
}

// Put implements [Store]. Where there is no room the entry is dropped, while the oldest are removed.
func (d *Disk) Put(_ context.Context, key Key, entry *Entry) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	if len(entry.Body) > d.maxEntry || !d.now().Before(entry.Expires) {
		return nil
	}
	data := encode(key, entry)
	size := blocks(int64(len(data)))
	bytes := d.bytes.Add(size)
	if bytes > d.maxBytes/100*sweepFrom {
		d.askSweep()
	}
	if bytes > d.maxBytes {
		d.bytes.Add(-size)
		return nil
	}
	replaced, err := d.write(d.path(key), data)
	d.bytes.Add(-replaced)
	if err != nil {
		d.bytes.Add(-size)
		return fmt.Errorf("writing an answer to the disk: %w", err)
	}
	if replaced == 0 {
		d.entries.Add(1)
	}
	return nil
}

// write makes a file, and returns how many bytes the one had that it takes the place of.
func (d *Disk) write(path string, data []byte) (replaced int64, err error) {
	file, err := os.CreateTemp(filepath.Join(d.answers, temporary), "*") // 0600
	if err != nil {
		return 0, err //nolint:wrapcheck // Put does
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Close())
	if err == nil {
		if before, none := os.Lstat(path); none == nil {
			replaced = blocks(before.Size())
		}
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return 0, err //nolint:wrapcheck // Put does
	}
	return replaced, nil
}

// Purge implements [Store]: files set aside go as well.
func (d *Disk) Purge(context.Context) error {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	err := d.removeLeftovers()
	if err == nil {
		err = d.moveAll()
	}
	if err == nil {
		err = os.RemoveAll(d.answers + old)
	}
	if err != nil {
		return fmt.Errorf("emptying the cache's directory: %w", err)
	}
	return nil
}

// moveAll puts all answers out of reach.
func (d *Disk) moveAll() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	err := os.Rename(d.answers, d.answers+old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // Purge does
	}
	d.entries.Store(0)
	d.bytes.Store(0)
	return d.makeDirs()
}

// Stats implements [Store]. After a start it waits until all files have been counted. Entries that have
// expired count until the next sweep, within an hour.
func (d *Disk) Stats(ctx context.Context) (Stats, error) {
	select {
	case <-d.counted:
	case <-ctx.Done():
		return Stats{}, fmt.Errorf("counting answers on the disk: %w", ctx.Err())
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return Stats{}, errClosed
	}
	return Stats{Entries: d.entries.Load(), Bytes: d.bytes.Load(), Max: d.maxBytes}, nil
}

// Close implements [Store].
func (d *Disk) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	close(d.stop)
	d.stopped.Wait()
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("unlocking the cache's directory: %w", err)
	}
	return nil
}

// path is where an entry lies: in one of 256 directories.
func (d *Disk) path(key Key) string {
	name := hex.EncodeToString(key[:])
	return filepath.Join(d.answers, name[:2], name[2:])
}
