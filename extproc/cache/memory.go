package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

const (
	// overhead is about what an entry takes beside its body: its own fields, its place in the library's
	// maps, and the counters that say how often it is asked for.
	overhead = 512

	// usualEntry is how large an entry is thought to be where the library must know how many there will be.
	usualEntry = 4 << 10
)

// Memory keeps entries in the process. Where it is full, the library decides by how often they are asked
// for which stay, be it the old or the new one: an entry that was put may not be there.
type Memory struct {
	maxBytes int64
	maxEntry int
	now      func() time.Time

	entries atomic.Int64

	// The library does not allow a use while it is emptied or closed.
	mu     sync.RWMutex
	kept   *ristretto.Cache[uint64, *kept]
	closed bool
}

// kept is an entry with its whole key: the library knows but a part of it.
type kept struct {
	key   Key
	entry *Entry
}

// NewMemory returns a store of at most maxBytes, of entries whose bodies have at most maxEntry bytes.
func NewMemory(maxBytes int64, maxEntry int) (*Memory, error) {
	m := &Memory{maxBytes: maxBytes, maxEntry: maxEntry, now: time.Now}
	library, err := ristretto.NewCache(&ristretto.Config[uint64, *kept]{
		NumCounters: min(max(10*maxBytes/usualEntry, 10_000), 100_000_000),
		MaxCost:     maxBytes,
		BufferItems: 64,
		OnExit: func(gone *kept) {
			if gone != nil {
				m.entries.Add(-1)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making room for the cache: %w", err)
	}
	m.kept = library
	return m, nil
}

// Get implements [Store].
func (m *Memory) Get(_ context.Context, key Key) (*Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, errClosed
	}
	found, ok := m.kept.Get(short(key))
	if !ok || found.key != key || !m.now().Before(found.entry.Expires) {
		return nil, nil
	}
	return found.entry, nil
}

// Put implements [Store].
func (m *Memory) Put(_ context.Context, key Key, entry *Entry) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return errClosed
	}
	ttl := entry.Expires.Sub(m.now())
	cost := int64(overhead + len(entry.Body) + len(entry.ContentType) + len(entry.Model))
	if ttl <= 0 || len(entry.Body) > m.maxEntry || cost > m.maxBytes {
		return nil
	}
	own := *entry
	own.Body = slices.Clone(entry.Body) // it may be the beginning of a larger piece of memory
	m.entries.Add(1)
	if !m.kept.SetWithTTL(short(key), &kept{key: key, entry: &own}, cost, ttl) {
		m.entries.Add(-1)
		return nil
	}
	m.kept.Wait() // else a request that follows might not see it
	return nil
}

// Purge implements [Store].
func (m *Memory) Purge(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	m.kept.Clear()
	return nil
}

// Stats implements [Store]. Entries that have expired count for some seconds more.
func (m *Memory) Stats(context.Context) (Stats, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return Stats{}, errClosed
	}
	return Stats{Entries: m.entries.Load(), Bytes: m.maxBytes - m.kept.RemainingCost(), Max: m.maxBytes}, nil
}

// Close implements [Store].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		m.kept.Close()
	}
	return nil
}

// short is a key as the library takes it. It is a part of a digest, so it is as good a hash as any.
func short(key Key) uint64 { return binary.LittleEndian.Uint64(key[:8]) }
