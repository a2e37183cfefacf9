package cache

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"tollgate/config"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TOLLGATE_TEST_PUT_INTO"); dir != "" {
		putUntilKilled(dir)
	}
	if dir := os.Getenv("TOLLGATE_TEST_FILL"); dir != "" {
		fillDisk(dir)
	}
	redis.SetLogger(silence{})
	os.Exit(m.Run())
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// fakeClock moves when told to.
type fakeClock struct{ nanos atomic.Int64 }

func newClock() *fakeClock {
	c := &fakeClock{}
	c.nanos.Store(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *fakeClock) Now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *fakeClock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

const (
	testBytes = 64 << 20
	testEntry = 10_000
)

// onEach runs a test on every store, with a clock of its own.
func onEach(t *testing.T, test func(t *testing.T, store Store, clock *fakeClock)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		m := newMemory(t, testBytes, testEntry)
		m.now = clock.Now
		test(t, m, clock)
	})
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		test(t, openDisk(t, t.TempDir(), clock), clock)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		test(t, newRedis(t, startRedis(t), clock), clock)
	})
}

func put(t testing.TB, store Store, key Key, entry *Entry) {
	t.Helper()
	require.NoError(t, store.Put(t.Context(), key, entry))
}

func get(t testing.TB, store Store, key Key) *Entry {
	t.Helper()
	entry, err := store.Get(t.Context(), key)
	require.NoError(t, err)
	return entry
}

func stats(t testing.TB, store Store) Stats {
	t.Helper()
	s, err := store.Stats(t.Context())
	require.NoError(t, err)
	return s
}

func TestStoreKeeps(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		require.Nil(t, get(t, store, number(1)))
		for n, size := range []int{1, 100, compressFrom, testEntry} {
			entry := fullEntry(size)
			entry.Stored, entry.Expires = clock.Now(), clock.Now().Add(time.Hour)
			put(t, store, number(n), entry)
			requireSame(t, entry, get(t, store, number(n)))
		}
		again := entryOf(clock.Now(), 50)
		put(t, store, number(1), again)
		requireSame(t, again, get(t, store, number(1)))
		require.Len(t, get(t, store, number(0)).Body, 1)
		require.Nil(t, get(t, store, number(4)))
		require.EqualValues(t, 4, stats(t, store).Entries)
	})
}

func TestStoreForgetsInTime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		for n, ttl := range []time.Duration{time.Minute, time.Hour} {
			entry := entryOf(clock.Now(), 10)
			entry.Expires = clock.Now().Add(ttl)
			put(t, store, number(n), entry)
		}
		clock.Advance(time.Minute - 1)
		require.NotNil(t, get(t, store, number(0)))
		clock.Advance(1)
		require.Nil(t, get(t, store, number(0)))
		require.NotNil(t, get(t, store, number(1)))

		for _, ttl := range []time.Duration{0, -1, -time.Hour} {
			entry := entryOf(clock.Now(), 10)
			entry.Expires = clock.Now().Add(ttl)
			put(t, store, number(2), entry)
			require.Nil(t, get(t, store, number(2)))
		}
		put(t, store, number(0), entryOf(clock.Now(), 10)) // in the place of one that has expired
		require.NotNil(t, get(t, store, number(0)))
	})
}

func TestStoreRefusesLarge(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		put(t, store, number(1), entryOf(clock.Now(), testEntry+1))
		require.Nil(t, get(t, store, number(1)))
		require.Zero(t, stats(t, store).Entries)
	})
}

func TestStorePurges(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		require.NoError(t, store.Purge(t.Context()), "there is nothing")
		const many = 2500 // more than a step of Redis's scan
		for n := range many {
			put(t, store, number(n), entryOf(clock.Now(), 10))
		}
		require.EqualValues(t, many, stats(t, store).Entries)
		require.NoError(t, store.Purge(t.Context()))
		for n := range many {
			require.Nil(t, get(t, store, number(n)))
		}
		require.Zero(t, stats(t, store).Entries)
		put(t, store, number(1), entryOf(clock.Now(), 10))
		require.NotNil(t, get(t, store, number(1)))
	})
}

// TestStoreAtOnce: whoever gets something while all is done at once gets one of the entries that were put
// with that key.
func TestStoreAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for n := range 100 {
					key := n % 10
					_ = store.Put(context.Background(), number(key), entryOf(clock.Now(), 1000*(key+1)-worker))
					got, err := store.Get(context.Background(), number(key))
					if err != nil || got != nil && (len(got.Body)+9)/1000 != key+1 {
						t.Errorf("%v %v", got, err)
					}
					if n%50 == 49 {
						_ = store.Purge(context.Background())
					}
					_, _ = store.Stats(context.Background())
				}
			})
		}
		all.Wait()
	})
}

func TestStoreClosed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, store Store, clock *fakeClock) {
		put(t, store, number(1), entryOf(clock.Now(), 10))
		require.NoError(t, store.Close())
		_, err := store.Get(t.Context(), number(1))
		require.Error(t, err)
		require.Error(t, store.Put(t.Context(), number(1), entryOf(clock.Now(), 10)))
		require.Error(t, store.Purge(t.Context()))
		_, err = store.Stats(t.Context())
		require.Error(t, err)
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	for want, c := range map[string]config.CacheStore{
		"*cache.Memory": {},
		"*cache.Disk":   {Dir: t.TempDir()},
		"*cache.Redis":  {Redis: config.NewSecret(server.url())},
	} {
		c.MaxBytes, c.MaxEntryBytes = testBytes, testEntry
		store, err := Open(c, Watch{})
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprintf("%T", store))
		put(t, store, number(1), entryOf(time.Now(), 10))
		require.NotNil(t, get(t, store, number(1)))
		require.NoError(t, store.Close())
	}
	for _, c := range []config.CacheStore{
		{Dir: "/dev/null/x"},
		{Redis: config.NewSecret("http://:hunter2@x")},
		{Redis: config.NewSecret("redis://:hunter2@x:port")},
		{Redis: config.NewSecret("redis://:hunt%er2@x")},
		{},
	} {
		_, err := Open(c, Watch{})
		require.Error(t, err, "%s %s", c.Dir, c.Redis.Reveal())
		require.NotContains(t, err.Error(), "hunt")
	}
}
