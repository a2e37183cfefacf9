package cache

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The database has two records of each entry. One says by the entry's key where it is; the other, the entry, is
// below the time that it was put, so that the oldest ones lie together: they are removed as a range, which
// takes whole tables away, where entries in the order of their keys would have all tables written anew.
const (
	placeRecord = 'p' // and the key
	entryRecord = 'e' // and the time, and the key

	placeKeySize = 1 + len(Key{})
	entryKeyAt   = 1 + 8
	entryKeySize = entryKeyAt + len(Key{})
)

// place is what the first of them says.
type place struct {
	put, expires int64 // nanoseconds since 1970
	size         int64
}

const placeSize = 3 * 8

func (p place) encode() []byte {
	out := make([]byte, 0, placeSize)
	for _, n := range []int64{p.put, p.expires, p.size} {
		out = binary.BigEndian.AppendUint64(out, uint64(n)) //nolint:gosec // decodePlace makes it what it was
	}
	return out
}

func decodePlace(data []byte) (p place, err error) {
	if len(data) != placeSize {
		return p, errCorrupt
	}
	for i, n := range []*int64{&p.put, &p.expires, &p.size} {
		*n = int64(binary.BigEndian.Uint64(data[8*i:])) //nolint:gosec // as encode wrote it
	}
	return p, nil
}

func (p place) expired(now time.Time) bool { return now.UnixNano() >= p.expires }

func placeKey(key Key) []byte { return append([]byte{placeRecord}, key[:]...) }

func entryKey(put int64, key Key) []byte { return append(entriesFrom(put), key[:]...) }

// entriesFrom is a key before those of entries that were put then or later.
func entriesFrom(put int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{entryRecord}, uint64(max(put, 0)))
}

// ofEntry says what entryKey made a key of.
func ofEntry(record []byte) (put int64, key Key, err error) {
	if len(record) != entryKeySize {
		return 0, key, errCorrupt
	}
	return int64(binary.BigEndian.Uint64(record[1:])), Key(record[entryKeyAt:]), nil //nolint:gosec // as entriesFrom wrote it
}

// eachPlace visits where all entries are.
func (db *database) eachPlace() (*pebble.Iterator, error) {
	return db.NewIter(&pebble.IterOptions{LowerBound: []byte{placeRecord}, UpperBound: []byte{placeRecord + 1}}) //nolint:wrapcheck // who calls it does
}

// eachEntry visits all entries, the oldest first, from a key on.
func (db *database) eachEntry(from []byte) (*pebble.Iterator, error) {
	if from == nil {
		from = entriesFrom(0)
	}
	return db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{entryRecord + 1}}) //nolint:wrapcheck // who calls it does
}

// place returns where an entry is, nil where there is none.
func (db *database) place(key Key) (*place, error) {
	data, done, err := db.Get(placeKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // who calls it does
	}
	defer func() { _ = done.Close() }()
	p, err := decodePlace(data)
	return &p, err
}

// entry returns what is there, nil where there is nothing.
func (db *database) entry(put int64, key Key) ([]byte, error) {
	data, done, err := db.Get(entryKey(put, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // who calls it does
	}
	data = append([]byte(nil), data...)
	return data, done.Close() //nolint:wrapcheck // as above
}

// remove adds to a batch that an entry goes.
func remove(batch *pebble.Batch, key Key, put int64) error {
	return errors.Join(batch.Delete(placeKey(key), nil), batch.Delete(entryKey(put, key), nil))
}
