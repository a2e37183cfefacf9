package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk keeps entries in an LSM database in a directory: pebble, in answers-1.lsm (1 is the format of entries).
// An entry that was put is there after a kill -9; after a loss of power the last ones may not be. Files that
// are damaged cost what is in the database: it is renamed to end in .corrupt, and an empty one begun. While the
// disk cannot be written, what is there is read and nothing is put.
//
// It is not badger, since that ends the process in each of these cases: a full disk, or a table that is cut while
// it is open, is a SIGBUS in its own goroutines (it maps its files), and opening a garbled table a panic there.
// pebble reads and writes by calls, each block has a checksum, and it does without the disk's own files:
// [diskFiles] stands in between.
type Disk struct {
	dir, path string
	maxBytes  int64
	maxEntry  int
	watch     Watch
	now       func() time.Time
	files     vfs.FS
	lock      *os.File

	mu     sync.RWMutex // held by itself to close the database, or to have another
	db     *database    // nil: there is none, because of why
	why    error        // why nothing can be put
	closed bool

	aside atomic.Int64 // bytes of what was set aside

	sweeping sync.Mutex
	full     chan struct{} // asks for a sweep
	trouble  chan struct{} // asks for another database
	stop     chan struct{}
	stopped  sync.WaitGroup
	said     error // why answers are not kept, as watch last heard
}

// NewDisk returns a store in a directory, which is made if it is missing, of entries whose bodies have at most
// maxEntry bytes. The directory has at most maxBytes and, for moments, an eighth or 1 MiB more while tables are
// merged. It is an error if another process has it.
func NewDisk(dir string, maxBytes int64, maxEntry int, watch Watch) (*Disk, error) {
	return newDisk(dir, maxBytes, maxEntry, watch, time.Now)
}

func newDisk(dir string, maxBytes int64, maxEntry int, watch Watch, now func() time.Time) (*Disk, error) {
	d := &Disk{
		dir: dir, path: filepath.Join(dir, answersName),
		maxBytes: maxBytes, maxEntry: maxEntry, watch: watch, now: now, files: vfs.Default,
		full: make(chan struct{}, 1), trouble: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache's directory: %w", err)
	}
	var err error
	if d.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	d.countAside()
	if err := d.open(nil); err != nil && !isFull(err) {
		return nil, errors.Join(err, d.lock.Close())
	}
	d.stopped.Go(d.keep)
	return d, nil
}

// Get implements [Store].
func (d *Disk) Get(_ context.Context, key Key) (*Entry, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, errClosed
	}
	if d.db == nil {
		return nil, nil
	}
	entry, err := d.get(key)
	if err != nil {
		d.db.hurt(err)
		return nil, fmt.Errorf("reading an answer from the disk: %w", err)
	}
	return entry, nil
}

func (d *Disk) get(key Key) (*Entry, error) {
	at, err := d.db.place(key)
	const most = 64 << 10 // of an entry beside its body
	if err != nil || at == nil || at.expired(d.now()) || at.size > int64(d.maxEntry)+most {
		return nil, err
	}
	data, err := d.db.entry(at.put, key)
	if err != nil || data == nil { // it was removed meanwhile
		return nil, err
	}
	entry, err := decode(key, data, d.maxEntry)
	if errors.Is(err, errTooLarge) { // the bound was a higher one when it was put
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return entry, nil
}

// Put implements [Store]. Where there is no room the entry is dropped, while the oldest are removed.
func (d *Disk) Put(_ context.Context, key Key, entry *Entry) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	if d.why != nil {
		return fmt.Errorf("writing an answer to the disk: %w", d.why)
	}
	if len(entry.Body) > d.maxEntry || !d.now().Before(entry.Expires) {
		return nil
	}
	data := encode(key, entry)
	if !d.hasRoom(d.db, int64(len(data))) {
		return nil
	}
	if err := d.put(key, entry, data); err != nil {
		d.db.hurt(err)
		return fmt.Errorf("writing an answer to the disk: %w", err)
	}
	return nil
}

func (d *Disk) put(key Key, entry *Entry, data []byte) error {
	d.db.putting.Lock()
	defer d.db.putting.Unlock()
	before, err := d.db.place(key)
	if err != nil {
		return err
	}
	batch := d.db.NewBatch()
	defer func() { _ = batch.Close() }()
	at := place{put: d.db.next(d.now()), expires: entry.Expires.UnixNano(), size: int64(len(data))}
	if before != nil {
		err = remove(batch, key, before.put)
	}
	err = errors.Join(err,
		batch.Set(placeKey(key), at.encode(), nil),
		batch.Set(entryKey(at.put, key), data, nil))
	if err == nil {
		err = d.db.commit(batch)
	}
	if err != nil {
		return err
	}
	d.db.count(1, at.size)
	if before != nil {
		d.db.count(-1, -before.size)
	}
	return nil
}

// Purge implements [Store]: what was set aside goes as well.
func (d *Disk) Purge(context.Context) error {
	if err := d.exchange(nil, d.removeAll, nil); err != nil {
		return fmt.Errorf("emptying the cache's directory: %w", err)
	}
	return nil
}

// Stats implements [Store]. After a start it waits until all entries have been counted. Those that have
// expired count until the next sweep, within an hour.
func (d *Disk) Stats(ctx context.Context) (Stats, error) {
	for {
		d.mu.RLock()
		db, closed := d.db, d.closed
		d.mu.RUnlock()
		if closed {
			return Stats{}, errClosed
		}
		if db == nil {
			return Stats{Bytes: d.aside.Load(), Max: d.maxBytes}, nil
		}
		select {
		case <-db.counted:
			entries, _ := db.holds()
			return Stats{Entries: entries, Bytes: d.usage(db), Max: d.maxBytes}, nil
		case <-db.ctx.Done(): // there is another one
		case <-ctx.Done():
			return Stats{}, fmt.Errorf("counting answers on the disk: %w", ctx.Err())
		}
	}
}

// Close implements [Store].
func (d *Disk) Close() error {
	d.endSweep(nil)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	err := d.shut()
	d.mu.Unlock()
	close(d.stop)
	d.stopped.Wait()
	if err = errors.Join(err, d.lock.Close()); err != nil {
		return fmt.Errorf("closing the cache's directory: %w", err)
	}
	return nil
}
