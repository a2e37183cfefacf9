package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// overhead is what an entry takes beside its body.
const overhead = 512

// Memory keeps entries in this process: what is asked for often stays, as far as there is room.
type Memory struct {
	store    *ristretto.Cache[uint64, *kept]
	maxBytes int64
	maxEntry int

	entries, bytes atomic.Int64
}

// kept is an entry with its whole key: the library knows it by a part.
type kept struct {
	key   Key
	entry *Entry
}

// NewMemory returns a store of at most so many bytes, with no entry larger than maxEntry.
func NewMemory(maxBytes int64, maxEntry int) (*Memory, error) {
	m := &Memory{maxBytes: maxBytes, maxEntry: maxEntry}
	const typical = 4 << 10 // bytes of an answer
	store, err := ristretto.NewCache(&ristretto.Config[uint64, *kept]{
		NumCounters: max(1000, 10*maxBytes/typical), // ten times as many as entries, as its documentation advises
		MaxCost:     maxBytes,
		BufferItems: 64,

		IgnoreInternalCost: true,
		KeyToHash:          func(key uint64) (uint64, uint64) { return key, 0 },
		OnExit: func(gone *kept) {
			m.entries.Add(-1)
			m.bytes.Add(-gone.cost())
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making room for answers: %w", err)
	}
	m.store = store
	return m, nil
}

func (k *kept) cost() int64 { return int64(len(k.entry.Body) + overhead) }

// place is by what part of a key the library knows an entry.
func place(key Key) uint64 { return binary.LittleEndian.Uint64(key[:]) }

// Get returns the entry with a key.
func (m *Memory) Get(_ context.Context, key Key) (*Entry, error) {
	found, ok := m.store.Get(place(key))
	if !ok || found.key != key || !time.Now().Before(found.entry.Expires) {
		return nil, nil
	}
	return found.entry, nil
}

// Put keeps an entry. Once it has returned, the entry is there, or was not worth keeping.
func (m *Memory) Put(_ context.Context, key Key, entry *Entry) error {
	k := &kept{key, entry}
	left := time.Until(entry.Expires)
	if len(entry.Body) > m.maxEntry || k.cost() > m.maxBytes || left <= 0 {
		return nil
	}
	m.entries.Add(1)
	m.bytes.Add(k.cost())
	if !m.store.SetWithTTL(place(key), k, k.cost(), left) {
		m.entries.Add(-1)
		m.bytes.Add(-k.cost())
	}
	m.store.Wait() // sets go by a buffer
	return nil
}

// Purge forgets all entries.
func (m *Memory) Purge(context.Context) error {
	m.store.Clear()
	return nil
}

// Stats tells how full it is.
func (m *Memory) Stats(context.Context) (Stats, error) {
	return Stats{Entries: m.entries.Load(), Bytes: m.bytes.Load(), Max: m.maxBytes}, nil
}

// Close ends it: what it holds is gone.
func (m *Memory) Close() error {
	m.store.Close()
	return nil
}
