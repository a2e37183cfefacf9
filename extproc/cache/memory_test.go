package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A full store stays within its bounds, whatever is put in, and Stats agrees with what can be got.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const size, most = 1000, 100_000
	m := newMemory(t, most, size)
	for n := range 1000 {
		require.NoError(t, m.Put(t.Context(), number(n), entryOf(m.now(), size)))
		stats, err := m.Stats(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, stats.Bytes, int64(most))
		require.Equal(t, int64(most), stats.Max)
	}
	there := int64(0)
	for n := range 1000 {
		if got, err := m.Get(t.Context(), number(n)); got != nil {
			require.NoError(t, err)
			there++
		}
	}
	stats, err := m.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, there, stats.Entries)
	require.Greater(t, there*(size+overhead), int64(most/2), "most of the room is used")
	require.GreaterOrEqual(t, stats.Bytes, there*(size+overhead))
}

// The library knows a part of the key alone.
func TestMemoryComparesWholeKeys(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 1<<20, 1<<10)
	one, other := number(1), number(1)
	other[31] = 1
	require.NoError(t, m.Put(t.Context(), one, entryOf(m.now(), 1)))
	got, err := m.Get(t.Context(), other)
	require.NoError(t, err)
	require.Nil(t, got)
}

// What is put does not hold on to a larger piece of memory, nor change with it.
func TestMemoryKeepsItsOwn(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 1<<20, 1<<10)
	put := entryOf(m.now(), 10)
	body := append(make([]byte, 0, 1<<16), "0123456789"...)
	put.Body = body
	require.NoError(t, m.Put(t.Context(), number(1), put))
	copy(body, "9876543210")
	got, err := m.Get(t.Context(), number(1))
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(got.Body))
	require.Less(t, cap(got.Body), 100)
}

// All methods at once, the end among them.
func TestMemoryAtOnce(t *testing.T) {
	t.Parallel()
	m := newMemory(t, 1<<20, 1<<10)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range 500 {
				_ = m.Put(t.Context(), number(n), entryOf(m.now(), 100+worker))
				_, _ = m.Get(t.Context(), number(n+worker))
				if n%100 == 99 {
					_ = m.Purge(t.Context())
				}
				_, _ = m.Stats(t.Context())
				if n == 400 && worker == 0 {
					_ = m.Close()
				}
			}
		})
	}
	all.Wait()
}

func newMemory(t testing.TB, maxBytes int64, maxEntry int) *Memory {
	t.Helper()
	m, err := NewMemory(maxBytes, maxEntry)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// number is a key of its own for each n.
func number(n int) (key Key) {
	binary.BigEndian.PutUint64(key[:], uint64(n)*0x9e3779b97f4a7c15)
	return key
}

// entryOf is an entry for an hour, with a body of a size.
func entryOf(now time.Time, size int) *Entry {
	body := bytes.Repeat(fmt.Appendf(nil, "%d bytes ", size), size/8+1)
	return &Entry{
		Stored: now, Expires: now.Add(time.Hour), ContentType: "application/json", Body: body[:size], Model: "m",
	}
}
