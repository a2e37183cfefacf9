package cache

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	sweepEvery = time.Hour

	// From how full a store the oldest entries are removed, and down to where, in percent.
	sweepFrom = 95
	sweepTo   = 85
)

// blocks is how many bytes of a disk a file takes: its length alone would be too little for small ones.
func blocks(size int64) int64 {
	const block = 4 << 10
	return (size + block - 1) / block * block
}

func (d *Disk) askSweep() {
	select {
	case d.full <- struct{}{}:
	default: // asked for already
	}
}

func (d *Disk) keepSweeping() {
	every := time.NewTicker(sweepEvery)
	defer every.Stop()
	d.sweep()
	close(d.counted)
	for {
		select {
		case <-d.stop:
			return
		case <-every.C:
		case <-d.full:
		}
		d.sweep()
	}
}

// sweep removes what has expired, counts the rest and, if that is too much, removes the oldest.
func (d *Disk) sweep() {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.mu.Lock() // no put is half done: it would count as before, and not be seen
	before, beforeBytes := d.entries.Load(), d.bytes.Load()
	d.mu.Unlock()
	entries, total := int64(0), int64(0)
	ages := map[int64]int64{} // bytes by the second that they were stored
	now := d.now()
	d.walk(func(f file) {
		if !f.expires.IsZero() && !now.Before(f.expires) && os.Remove(f.path) == nil {
			return
		}
		entries++
		total += f.bytes
		ages[f.stored.Unix()] += f.bytes
	})
	if total > d.maxBytes/100*sweepFrom {
		removed, removedBytes := d.removeOldest(ages, total-d.maxBytes/100*sweepTo)
		entries -= removed
		total -= removedBytes
	}
	// What was put meanwhile counts on top, though some of it may have been seen.
	d.entries.Add(entries - before)
	d.bytes.Add(total - beforeBytes)
}

// removeOldest removes so many bytes of entries, or some more, those of earlier seconds first.
func (d *Disk) removeOldest(ages map[int64]int64, bytes int64) (removed, removedBytes int64) {
	seconds := make([]int64, 0, len(ages))
	for second := range ages {
		seconds = append(seconds, second)
	}
	slices.Sort(seconds)
	last, whole := int64(math.MinInt64), int64(0) // the last second, and the bytes of those before it
	for _, second := range seconds {
		last = second
		if whole+ages[second] >= bytes {
			break
		}
		whole += ages[second]
	}
	ofLast := bytes - whole
	d.walk(func(f file) {
		second := f.stored.Unix()
		if second > last || second == last && ofLast <= 0 || os.Remove(f.path) != nil {
			return
		}
		if second == last {
			ofLast -= f.bytes
		}
		removed++
		removedBytes += f.bytes
	})
	return removed, removedBytes
}

// file is what a sweep sees of an entry.
type file struct {
	path            string
	bytes           int64
	stored, expires time.Time // expires: zero for never
}

// walk visits all files. One that was set aside, or is no entry at first sight, counts as stored when it was
// last written, and does not expire.
func (d *Disk) walk(visit func(file)) {
	for n := range 256 {
		bucket := d.bucket(n)
		listed, err := os.ReadDir(bucket)
		if err != nil {
			continue // the next sweep may see it
		}
		for _, entry := range listed {
			info, err := entry.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue // it is gone, or none of ours
			}
			f := file{path: filepath.Join(bucket, entry.Name()), bytes: blocks(info.Size())}
			if f.stored, f.expires = times(f.path); f.expires.IsZero() || f.stored.After(info.ModTime()) {
				f.stored = info.ModTime()
			}
			visit(f)
		}
		select {
		case <-d.stop:
			return
		default:
		}
	}
}

// times reads when an entry was stored and expires: zero where the file is not one.
func times(path string) (stored, expires time.Time) {
	if filepath.Ext(path) == corrupt {
		return stored, expires
	}
	opened, err := os.Open(path)
	if err != nil {
		return stored, expires
	}
	defer func() { _ = opened.Close() }()
	var head [fieldsAt]byte
	if _, err := io.ReadFull(opened, head[:]); err != nil || head[0] != entryFormat {
		return stored, expires
	}
	return timeAt(head[:], storedAt), timeAt(head[:], expiresAt)
}
