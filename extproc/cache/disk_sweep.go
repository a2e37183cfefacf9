package cache

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// How full a directory is, in percent of what it may have. What is left is for tables while they are merged.
const (
	dropFrom  = 90 // from here on nothing is put
	sweepFrom = 80 // the oldest entries are removed from here on
	sweepTo   = 70 // down to here
)

// atOnce is how many entries are removed while no others are put.
const atOnce = 1000

// usage is what the directory has.
func (d *Disk) usage(db *database) int64 { return db.files.bytes.Load() + d.aside.Load() }

// live is what it has without files that are about to be removed.
func (d *Disk) live(db *database) int64 {
	m := db.Metrics()
	return d.usage(db) - int64(m.Table.ObsoleteSize+m.Table.ZombieSize+m.WAL.ObsoletePhysicalSize) //nolint:gosec // less than a disk has
}

func (d *Disk) percent(of int64) int64 { return d.maxBytes / 100 * of }

// hasRoom tells whether there is room for so many bytes, and asks for more in time.
func (d *Disk) hasRoom(db *database, bytes int64) bool {
	usage, short := d.usage(db)+bytes, d.free() < d.margin()
	if short || usage > d.percent(sweepFrom) {
		ask(d.full)
	}
	return !short && usage <= d.percent(dropFrom)
}

// sweep removes what has expired and, where there is too little room, the oldest.
func (d *Disk) sweep() {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.db == nil {
		return
	}
	err := d.expire(d.db)
	if err == nil && d.why == nil {
		err = d.makeRoom(d.db)
	}
	if err != nil {
		d.db.hurt(err)
	}
}

// victim is an entry that is removed.
type victim struct {
	key Key
	put int64
}

// expire removes what has expired. The first time it counts all entries.
func (d *Disk) expire(db *database) error {
	oldest, some, err := d.forgetExpired(db)
	if err != nil || !some {
		return err
	}
	return db.clear(entriesFrom(oldest))
}

// forgetExpired returns when the oldest entry was put that is left, and whether some have gone.
func (d *Disk) forgetExpired(db *database) (oldest int64, some bool, err error) {
	all, oldest, err := db.startCount()
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	var expired []victim
	entries, kept := int64(0), int64(0)
	for all.First(); all.Valid() && db.ctx.Err() == nil; all.Next() {
		at, err := decodePlace(all.Value())
		if err != nil || len(all.Key()) != placeKeySize {
			return 0, false, errCorrupt
		}
		entries++
		kept += at.size
		if db.readOnly || !at.expired(d.now()) {
			oldest = min(oldest, at.put)
			continue
		}
		some = true
		if expired = append(expired, victim{Key(all.Key()[1:]), at.put}); len(expired) == atOnce {
			if err := db.forget(expired); err != nil {
				return 0, false, err
			}
			expired = expired[:0]
		}
	}
	if err := errors.Join(all.Error(), db.ctx.Err()); err != nil {
		return 0, false, err
	}
	db.endCount(entries, kept)
	return oldest, some, db.forget(expired)
}

// startCount visits where all entries are that were put before next. If they have not been counted, those that
// are put later count from here on.
func (db *database) startCount() (all *pebble.Iterator, next int64, err error) {
	db.putting.Lock()
	defer db.putting.Unlock()
	if !db.swept {
		db.entries, db.kept = 0, 0
	}
	all, err = db.eachPlace()
	return all, db.last + 1, err
}

// endCount adds what has been counted.
func (db *database) endCount(entries, kept int64) {
	if db.swept {
		return
	}
	db.putting.Lock()
	db.count(entries, kept)
	db.putting.Unlock()
	db.swept = true
	close(db.counted)
}

// forget removes entries, but those that others have taken the place of.
func (db *database) forget(gone []victim) error {
	if len(gone) == 0 {
		return nil
	}
	db.putting.Lock()
	defer db.putting.Unlock()
	batch := db.NewBatch()
	defer func() { _ = batch.Close() }()
	for _, v := range gone {
		at, err := db.place(v.key)
		if err != nil {
			return err
		}
		if at == nil || at.put != v.put {
			continue
		}
		if err := remove(batch, v.key, v.put); err != nil {
			return err
		}
		db.count(-1, -at.size)
	}
	return db.commit(batch)
}

// clear removes entries that were put before those at a key, none of which can be found any more, from the
// disk.
func (db *database) clear(before []byte) error {
	if err := db.DeleteRange(entriesFrom(0), before, pebble.Sync); err != nil {
		return err //nolint:wrapcheck // it is looked at, not shown
	}
	return db.Compact(db.ctx, entriesFrom(0), before, false) //nolint:wrapcheck // as above
}

// makeRoom removes the oldest entries, what was set aside before all others.
func (d *Disk) makeRoom(db *database) error {
	short := d.free() < d.margin()
	if d.aside.Load() > 0 && (short || d.live(db) > d.percent(sweepFrom)) {
		d.removeAside()
	}
	_, kept := db.holds()
	if short {
		if err := db.evict(kept / 10); err != nil {
			return err
		}
	}
	for ; d.live(db) > d.percent(sweepFrom) && kept > 0; _, kept = db.holds() {
		if err := db.evict(d.live(db) - d.percent(sweepTo)); err != nil {
			return err
		}
	}
	return nil
}

// evict removes so many bytes of the oldest entries, or some more.
func (db *database) evict(bytes int64) error {
	var last []byte
	for bytes > 0 {
		gone, to, err := db.evictSome(last, bytes)
		if err := errors.Join(err, db.ctx.Err()); err != nil {
			return err
		}
		if to == nil {
			break
		}
		bytes -= gone
		last = to
	}
	if last == nil {
		return nil
	}
	return db.clear(last)
}

// evictSome removes no more than so many entries that others can be put soon. It returns how many bytes they
// have, and a key behind the last one, nil if there is none.
func (db *database) evictSome(from []byte, bytes int64) (gone int64, last []byte, err error) {
	db.putting.Lock()
	defer db.putting.Unlock()
	all, err := db.eachEntry(from)
	if err != nil {
		return 0, nil, err
	}
	batch := db.NewBatch()
	defer func() { err = errors.Join(err, all.Close(), batch.Close()) }()
	n := 0
	for all.First(); all.Valid() && gone < bytes && n < atOnce; all.Next() {
		n++
		value := all.LazyValue()
		gone += int64(value.Len())
		last = append(append(last[:0], all.Key()...), 0)
		if err := db.evictOne(batch, all.Key()); err != nil {
			return 0, nil, err
		}
	}
	if err := all.Error(); err != nil || last == nil {
		return 0, nil, err //nolint:wrapcheck // as above
	}
	if err := batch.DeleteRange(entriesFrom(0), last, nil); err != nil {
		return 0, nil, err //nolint:wrapcheck // as above
	}
	return gone, last, db.commit(batch)
}

func (db *database) evictOne(batch *pebble.Batch, record []byte) error {
	put, key, err := ofEntry(record)
	if err != nil {
		return err
	}
	at, err := db.place(key)
	if err != nil || at == nil || at.put != put {
		return err
	}
	db.count(-1, -at.size)
	return batch.Delete(placeKey(key), nil) //nolint:wrapcheck // it is looked at, not shown
}
