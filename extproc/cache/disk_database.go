package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// database is one opening of the database.
type database struct {
	*pebble.DB

	files    *diskFiles
	readOnly bool
	ctx      context.Context // ends before it is closed, and when there is trouble
	stop     context.CancelFunc
	trouble  func()                // hears of damage, and of writes that fail
	damage   atomic.Pointer[error] // what was found
	counted  chan struct{}         // closed once all entries are counted
	swept    bool                  // the same, for who counts

	putting sync.Mutex // what is counted is what is there
	entries int64
	kept    int64 // bytes of entries
	last    int64 // when the last entry was put
}

// Sizes, in bytes. What the database needs for itself must be little beside what it may keep.
const (
	mostMemory = 4 << 20 // of entries before they are written as a table
	readCache  = 8 << 20
	openTables = 128
)

// memoryOf is how much is gathered in memory before it is written as a table.
func memoryOf(maxBytes int64) int64 { return min(max(maxBytes/64, 64<<10), mostMemory) }

// openDatabase opens the database in its directory, which there is. readOnly, nothing is written.
func (d *Disk) openDatabase(readOnly bool) (db *database, err error) {
	db = &database{readOnly: readOnly, counted: make(chan struct{})}
	db.ctx, db.stop = context.WithCancel(context.Background())
	db.trouble = func() {
		db.stop() // a sweep does not wait for what cannot be done
		ask(d.trouble)
	}
	if db.files, err = newDiskFiles(d.files, d.path, db.trouble); err != nil {
		return nil, err
	}
	opened := db
	defer func() { // it panics where what it reads contradicts itself
		if caught := recover(); caught != nil {
			err = fmt.Errorf("%w: %v", errCorrupt, caught)
		}
		if err != nil {
			db = nil
			opened.stop()
		}
	}()
	if db.DB, err = pebble.Open(d.path, d.options(db)); err == nil {
		err = db.seekLast()
	}
	if err != nil {
		if failure := db.files.Failure(); failure != nil {
			return nil, fmt.Errorf("%w: %w", errUnwritable, failure)
		}
		return nil, fmt.Errorf("opening the cache's database: %w", err)
	}
	return db, nil
}

// options are those of an opening.
func (d *Disk) options(db *database) *pebble.Options {
	memory := memoryOf(d.maxBytes)
	options := &pebble.Options{
		FS: db.files, ReadOnly: db.readOnly,
		Logger:             silent{},
		EventListener:      &pebble.EventListener{BackgroundError: db.hurt, DataCorruption: func(i pebble.DataCorruptionInfo) { db.hurt(i.Details) }},
		FormatMajorVersion: pebble.FormatTableFormatV6,
		CacheSize:          readCache, MaxOpenFiles: openTables,
		MemTableSize: uint64(memory), LBaseMaxBytes: 4 * memory, MaxManifestFileSize: memory, //nolint:gosec // it is positive
		L0CompactionThreshold:      2,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 1 },
	}
	for i := range options.TargetFileSizes {
		options.TargetFileSizes[i] = memory / 2
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // bits a key: 1 % of misses read a block
	}
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { // entries are compressed
		return pebble.UniformDBCompressionSettings(sstable.NoCompression)
	})
	return options
}

// seekLast finds when the last entry was put.
func (db *database) seekLast() error {
	all, err := db.eachEntry(nil)
	if err != nil {
		return err
	}
	if all.Last() {
		db.last, _, err = ofEntry(all.Key())
	}
	if err = errors.Join(err, all.Error(), all.Close()); err != nil {
		err = errors.Join(err, db.DB.Close())
	}
	return err
}

// next is when an entry is put: later than all others, whatever the clock does. It is called while putting.
func (db *database) next(now time.Time) int64 {
	db.last = max(db.last+1, now.UnixNano())
	return db.last
}

// count is called while putting.
func (db *database) count(entries, bytes int64) {
	db.entries += entries
	db.kept += bytes
}

// holds is how many entries there are, and how many bytes they have.
func (db *database) holds() (entries, bytes int64) {
	db.putting.Lock()
	defer db.putting.Unlock()
	return db.entries, db.kept
}

// hurt takes an error of the database's. If it is damage, the store sets the database aside.
func (db *database) hurt(err error) {
	if isDamage(err) && !db.files.failed.Load() && db.damage.CompareAndSwap(nil, &err) {
		db.trouble()
	}
}

// isDamage tells whether files are not as they were written, or cannot be read.
func isDamage(err error) bool {
	for _, damage := range []error{errCorrupt, fs.ErrNotExist, io.EOF, io.ErrUnexpectedEOF, syscall.EIO} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return pebble.IsCorruptionError(err)
}

// isDamaged tells whether it is for damage that a database could not be opened. Other than while it is open, that
// is any error but the system's own, such as too many open files.
func isDamaged(err error) bool {
	var system syscall.Errno
	return !errors.Is(err, errUnwritable) && (isDamage(err) || !errors.As(err, &system) || system == syscall.ENOTDIR || system == syscall.EISDIR)
}

// commit does what a batch says. When it returns, the system has it, and a death of the process undoes nothing.
func (db *database) commit(batch *pebble.Batch) error {
	err := batch.Commit(pebble.Sync)
	if err == nil {
		err = db.files.Failure()
	}
	return err
}

// Close ends it.
func (db *database) Close() error {
	db.stop()
	return db.DB.Close() //nolint:wrapcheck // who calls it does
}

// silent is where the database writes its log: what matters comes as errors.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// Fatalf must not return. It does not hear of damage and of disks that cannot be written.
func (silent) Fatalf(format string, args ...any) {
	panic("bug: the cache's database: " + fmt.Sprintf(format, args...))
}
