package cache

import (
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	sweepEvery = time.Hour
	retryEvery = 30 * time.Second // where the disk could not be written
)

var errUnwritable = errors.New("the cache's directory cannot be written")

// keep looks after the database until the store is closed.
func (d *Disk) keep() {
	sweeps, retries := time.NewTicker(sweepEvery), time.NewTicker(retryEvery)
	defer sweeps.Stop()
	defer retries.Stop()
	d.removeLeftovers()
	d.sweep()
	for {
		select {
		case <-d.stop:
			return
		case <-d.trouble:
			d.mend()
		case <-retries.C:
			d.retry()
		case <-sweeps.C:
			d.sweep()
		case <-d.full:
			d.sweep()
		}
		d.tell()
	}
}

// ask makes an end of waiting for c, if there is one.
func ask(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // asked for already
	}
}

// open opens the database: an empty one if it is damaged, and one that is only read if it cannot be written,
// which why says if it is known. It is an error if there is none; then Get finds nothing. It is called with
// mu held.
func (d *Disk) open(why error) error {
	d.db, d.why = nil, why
	if d.why == nil {
		d.why = errors.Join(d.makeDir(), d.probe())
	}
	if d.why == nil {
		d.why = d.openToWrite()
	}
	if d.why == nil {
		return nil
	}
	db, err := d.openDatabase(true)
	if err != nil {
		return d.why
	}
	d.db = db
	ask(d.full) // to have it counted
	return nil
}

func (d *Disk) openToWrite() error {
	for again := false; ; again = true {
		db, err := d.openDatabase(false)
		switch {
		case err == nil:
			d.db = db
			ask(d.full)
			return nil
		case again || !isDamaged(err):
			return err
		}
		if err := errors.Join(d.setAside(err), d.makeDir()); err != nil {
			return err
		}
	}
}

// shut closes the database. It is called with mu held, after db.stop.
func (d *Disk) shut() error {
	if d.db == nil {
		return nil
	}
	db := d.db
	d.db = nil
	return db.Close()
}

// exchange closes a database, does something, and opens what there is then. Where the database is another one
// already, of is not nil, it does nothing.
func (d *Disk) exchange(of *database, do func() error, why error) error {
	d.endSweep(of)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	if of != nil && of != d.db {
		return nil
	}
	_ = d.shut() // what it says of damage, or of the disk, is known
	if err := do(); err != nil {
		d.why = err
		return err
	}
	return d.open(why)
}

// endSweep lets who wants a database for itself not wait: the one that there is, if of is nil.
func (d *Disk) endSweep(of *database) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db != nil && (of == nil || of == d.db) {
		d.db.stop()
	}
}

func nothing() error { return nil }

// mend takes another database in the place of one that is damaged, or cannot be written.
func (d *Disk) mend() {
	d.mu.RLock()
	db := d.db
	d.mu.RUnlock()
	if db == nil {
		return
	}
	if damage := db.damage.Load(); damage != nil {
		_ = d.exchange(db, func() error { return d.setAside(*damage) }, nil) // tell says it
	} else if err := db.files.Failure(); err != nil {
		_ = d.exchange(db, nothing, fmt.Errorf("%w: %w", errUnwritable, err))
	}
}

// retry sees whether the disk can be written again.
func (d *Disk) retry() {
	d.mu.RLock()
	db, why := d.db, d.why
	d.mu.RUnlock()
	if why == nil || d.probe() != nil {
		return
	}
	_ = d.exchange(db, nothing, nil)
}

// tell says once that answers cannot be kept, and once that they can again.
func (d *Disk) tell() {
	d.mu.RLock()
	err := d.why
	if err == nil {
		err = d.short()
	}
	d.mu.RUnlock()
	if (err == nil) == (d.said == nil) {
		return
	}
	d.said = err
	if d.watch.Written != nil {
		d.watch.Written(err == nil, err)
	}
}

// margin is how much of the disk is left to others, and to the database to merge tables.
func (d *Disk) margin() int64 { return min(d.maxBytes/8, 256<<20) }

// short is an error where less than that is free.
func (d *Disk) short() error {
	if free := d.free(); free < d.margin() {
		return fmt.Errorf("%d MB are free on the disk of the cache's directory %s, and %d MB must be", free>>20, d.dir, d.margin()>>20)
	}
	return nil
}

func (d *Disk) free() int64 {
	usage, err := d.files.GetDiskUsage(d.dir)
	if err != nil {
		return math.MaxInt64 // a write will tell
	}
	return int64(min(usage.AvailBytes, math.MaxInt64))
}
