package cache

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func openDisk(t testing.TB, dir string, clock *fakeClock) *Disk {
	t.Helper()
	d, err := newDisk(dir, testBytes, testEntry, nil, clock.Now)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	<-d.counted
	return d
}

// files are all files below a directory but the lock, by their path below it.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "LOCK" {
			below, _ := filepath.Rel(dir, path)
			all = append(all, below)
		}
		return err
	}))
	return all
}

func TestDiskOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	d := openDisk(t, dir, clock)
	for n := range 10 {
		put(t, d, number(n), entryOf(clock.Now(), 1000*n))
	}
	before := stats(t, d)
	require.NoError(t, d.Close())

	d = openDisk(t, dir, clock)
	for n := range 10 {
		requireSame(t, entryOf(clock.Now(), 1000*n), get(t, d, number(n)))
	}
	require.Equal(t, before, stats(t, d))
}

// Nobody else can read what clients were answered.
func TestDiskIsPrivate(t *testing.T) {
	t.Parallel()
	dir, clock := filepath.Join(t.TempDir(), "new", "dir"), newClock()
	d := openDisk(t, dir, clock)
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		info, _ := entry.Info()
		require.Zero(t, info.Mode().Perm()&0o077, "%s %v", path, info.Mode())
		return err
	}))
}

func TestDiskIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	d := openDisk(t, dir, clock)
	_, err := NewDisk(dir, testBytes, testEntry, nil)
	require.ErrorContains(t, err, "another process")
	require.ErrorContains(t, err, dir)
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NotNil(t, get(t, d, number(1)), "the first is as it was")
	require.NoError(t, d.Close())
	openDisk(t, dir, clock)
}

// TestDiskSetsAside: damage of any kind costs the entry that it is in, and is told once.
func TestDiskSetsAside(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"short":   func(data []byte) []byte { return data[:len(data)/2] },
		"long":    func(data []byte) []byte { return append(data, 0) },
		"format":  func(data []byte) []byte { data[0]++; return data },
		"flags":   func(data []byte) []byte { data[1] ^= isStream; return data },
		"expiry":  func(data []byte) []byte { data[expiresAt] ^= 0x20; return data },
		"body":    func(data []byte) []byte { data[len(data)-1] ^= 1; return data },
		"zeros":   func(data []byte) []byte { return make([]byte, len(data)) },
		"another": func([]byte) []byte { return encode(number(3), fullEntry(10)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clock := t.TempDir(), newClock()
			d := openDisk(t, dir, clock)
			heard := &changes{}
			d.setAside = func(path string, err error) { heard.hear(strings.HasSuffix(path, corrupt) && err != nil, nil) }
			put(t, d, number(1), entryOf(clock.Now(), 2000))
			put(t, d, number(2), entryOf(clock.Now(), 2000))
			path := d.path(number(1))
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, damage(data), 0o600))
			for range 3 {
				require.Nil(t, get(t, d, number(1)))
			}
			require.NotNil(t, get(t, d, number(2)))
			require.Equal(t, []bool{true}, heard.all())
			require.FileExists(t, path+corrupt)

			put(t, d, number(1), entryOf(clock.Now(), 10))
			require.NotNil(t, get(t, d, number(1)))
			d.sweep()
			require.EqualValues(t, 3, stats(t, d).Entries, "it takes room")
			require.NoError(t, d.Purge(t.Context()))
			require.Empty(t, files(t, dir))
		})
	}
}

// TestDiskFindsMess: whatever lies where a directory should be, the store opens.
func TestDiskFindsMess(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"answers-1", "answers-1/00", "answers-1/tmp", "answers-1.old"} {
		dir, clock := t.TempDir(), newClock()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("mess"), 0o600))
		d := openDisk(t, dir, clock)
		for n := range 300 { // in each bucket
			var key Key
			key[0] = byte(n)
			put(t, d, key, entryOf(clock.Now(), 10))
			require.NotNil(t, get(t, d, key))
		}
		require.NoError(t, d.Close())
	}
}

// A directory that fails is an error of each call, and no more.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	d := openDisk(t, dir, clock)
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "answers-1", temporary)))
	require.Error(t, d.Put(t.Context(), number(2), entryOf(clock.Now(), 10)))
	require.NotNil(t, get(t, d, number(1)))
	require.EqualValues(t, 1, stats(t, d).Entries)
	require.Equal(t, blocks(1), stats(t, d).Bytes, "what could not be written takes no room")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "answers-1")))
	require.Nil(t, get(t, d, number(1)))
	require.Error(t, d.Put(t.Context(), number(1), entryOf(clock.Now(), 10)))
	require.NoError(t, d.Purge(t.Context()), "which makes it new")
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NotNil(t, get(t, d, number(1)))
}

// Of entries that are too many the oldest go, and what has expired goes first.
func TestDiskSweeps(t *testing.T) {
	t.Parallel()
	const room = 100
	dir, clock := t.TempDir(), newClock()
	d := openDisk(t, dir, clock)
	d.maxBytes = room * blocks(1)
	expired := entryOf(clock.Now(), 10)
	expired.Expires = clock.Now().Add(time.Second)
	put(t, d, number(1000), expired)
	for n := range room - 10 { // fewer than a sweep begins at
		clock.Advance(time.Second)
		put(t, d, number(n), entryOf(clock.Now(), 10))
	}
	d.sweep()
	require.Equal(t, Stats{Entries: room - 10, Bytes: (room - 10) * blocks(1), Max: d.maxBytes}, stats(t, d))

	d.sweeping.Lock() // until all are put
	for n := range 8 {
		put(t, d, number(room+n), entryOf(clock.Now(), 10)) // all in one second
	}
	d.sweeping.Unlock()
	d.sweep()
	require.EqualValues(t, sweepTo, stats(t, d).Entries)
	gone := room - 10 + 8 - sweepTo
	for n := range room - 10 {
		require.Equal(t, n < gone, get(t, d, number(n)) == nil, "entry %d", n)
	}
	for n := range 8 {
		require.NotNil(t, get(t, d, number(room+n)))
	}
}

// However much is put, the directory stays within its bounds, and in the end there is room for more.
func TestDiskIsBounded(t *testing.T) {
	t.Parallel()
	const room = 200
	dir, clock := t.TempDir(), newClock()
	d := openDisk(t, dir, clock)
	d.maxBytes = room * blocks(1)
	for n := range 5 * room {
		put(t, d, number(n), entryOf(clock.Now(), 10+n%900))
		if n%50 == 0 {
			require.LessOrEqual(t, len(files(t, dir)), room)
		}
	}
	require.LessOrEqual(t, len(files(t, dir)), room)
	require.Eventually(t, func() bool {
		put(t, d, number(-1), entryOf(clock.Now(), 10))
		return get(t, d, number(-1)) != nil
	}, 10*time.Second, time.Millisecond)
}

// TestDiskKilled: what was put when the process is killed is there, and nothing is damaged.
func TestDiskKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := -1
	for round := range 20 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "TOLLGATE_TEST_PUT_INTO="+dir, "TOLLGATE_TEST_FROM="+strconv.Itoa(acknowledged+1))
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(output)
		for range 1 + rand.IntN(100) {
			require.True(t, lines.Scan(), "round %d: the child ended by itself", round)
			acknowledged, err = strconv.Atoi(lines.Text())
			require.NoError(t, err, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		_ = child.Wait()

		var damaged []string
		var mu sync.Mutex
		d, err := NewDisk(dir, testBytes, testEntry, func(path string, err error) {
			mu.Lock()
			defer mu.Unlock()
			damaged = append(damaged, fmt.Sprint(path, err))
		})
		require.NoError(t, err)
		for n := range acknowledged + 1 {
			got := get(t, d, number(n))
			require.NotNil(t, got, "round %d: entry %d of %d is gone", round, n, acknowledged)
			require.True(t, bytes.Equal(entryOf(got.Stored, 5000+n%1000).Body, got.Body), "entry %d", n)
		}
		require.Empty(t, damaged)
		left, err := os.ReadDir(filepath.Join(dir, "answers-1", temporary))
		require.NoError(t, err)
		require.Empty(t, left, "what was half written")
		require.NoError(t, d.Close())
	}
}

// putUntilKilled is the process that TestDiskKilled kills. It writes the number of each entry once it and all
// before it are put.
func putUntilKilled(dir string) {
	d, err := NewDisk(dir, testBytes, testEntry, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	from, _ := strconv.Atoi(os.Getenv("TOLLGATE_TEST_FROM"))
	for n := from; ; n += 4 {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if err := d.Put(context.Background(), number(n+i), entryOf(time.Now(), 5000+(n+i)%1000)); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
			})
		}
		all.Wait()
		fmt.Println(n + 3)
	}
}
