package cache

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func openDisk(t testing.TB, dir string, clock *fakeClock) *Disk {
	t.Helper()
	return openSized(t, dir, testBytes, clock, Watch{})
}

func openSized(t testing.TB, dir string, maxBytes int64, clock *fakeClock, watch Watch) *Disk {
	t.Helper()
	d, err := openFreed(dir, maxBytes, watch, clock.Now)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// openFreed opens a directory that a process may have locked a moment longer: one that is being started has the
// files of who starts it until it is another program.
func openFreed(dir string, maxBytes int64, watch Watch, now func() time.Time) (*Disk, error) {
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		d, err := newDisk(dir, maxBytes, testEntry, watch, now)
		if err == nil || time.Now().After(end) || !strings.Contains(err.Error(), "another process") {
			return d, err
		}
	}
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
	require.Equal(t, before.Entries, stats(t, d).Entries)
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
	_, err := NewDisk(dir, testBytes, testEntry, Watch{})
	require.ErrorContains(t, err, "another process")
	require.ErrorContains(t, err, dir)
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NotNil(t, get(t, d, number(1)), "the first is as it was")
	require.NoError(t, d.Close())
	openDisk(t, dir, clock)
}

// TestDiskFindsMess: what former programs left goes, and what is in the way is set aside.
func TestDiskFindsMess(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	for _, name := range []string{"answers-1/00", "answers-0.lsm", answersName + old} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "mess"), []byte("mess"), 0o600))
	}
	for _, name := range []string{answersName, probeName, "another's"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("mess"), 0o600))
	}
	heard := &changes{}
	d := openSized(t, dir, testBytes, clock, Watch{SetAside: func(_ string, err error) { heard.hear(err != nil, nil) }})
	put(t, d, number(1), entryOf(clock.Now(), 10))
	require.NotNil(t, get(t, d, number(1)))
	require.Equal(t, []bool{true}, heard.all())
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 4 // with the lock, the database, and what was set aside
	}, 10*time.Second, time.Millisecond)
	require.FileExists(t, filepath.Join(dir, "another's"))
	require.FileExists(t, filepath.Join(dir, answersName+corrupt))
}

// TestDiskKnowsItsEntries: of bytes that are not those of an entry with this key none is made.
func TestDiskKnowsItsEntries(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	heard := &changes{}
	d := openSized(t, dir, testBytes, clock, Watch{SetAside: func(string, error) { heard.hear(true, nil) }})
	put(t, d, number(1), entryOf(clock.Now(), 10))
	at, err := d.db.place(number(1))
	require.NoError(t, err)
	require.NoError(t, d.db.Set(entryKey(at.put, number(1)), encode(number(2), entryOf(clock.Now(), 10)), nil))
	_, err = d.Get(t.Context(), number(1))
	require.ErrorIs(t, err, errCorrupt)
	require.Eventually(t, func() bool { return len(heard.all()) == 1 }, 10*time.Second, time.Millisecond)
	require.Nil(t, get(t, d, number(1)), "there is an empty one")
	require.Zero(t, stats(t, d).Entries)
}

// Nothing runs on when a store is closed. (No other test runs meanwhile.)
func TestDiskEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		clock := newClock()
		d := openSized(t, t.TempDir(), testBytes, clock, Watch{})
		put(t, d, number(1), entryOf(clock.Now(), 10))
		require.NoError(t, d.Purge(t.Context()))
		put(t, d, number(1), entryOf(clock.Now(), 10))
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond) // who waits here is one
}

const killedBytes = 16 << 20 // so that there are tables, too

// TestDiskKilled: what was put when the process is killed is there, and nothing is damaged.
func TestDiskKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := -1
	for round := range 12 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "TOLLGATE_TEST_PUT_INTO="+dir, "TOLLGATE_TEST_FROM="+strconv.Itoa(acknowledged+1))
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(output)
		for range 1 + rand.IntN(40) {
			require.True(t, lines.Scan(), "round %d: the child ended by itself", round)
			acknowledged, err = strconv.Atoi(lines.Text())
			require.NoError(t, err, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		_ = child.Wait()

		var damaged []string
		var mu sync.Mutex
		d, err := openFreed(dir, killedBytes, Watch{SetAside: func(path string, err error) {
			mu.Lock()
			defer mu.Unlock()
			damaged = append(damaged, fmt.Sprint(path, err))
		}}, time.Now)
		require.NoError(t, err)
		for n := range acknowledged + 1 {
			got := get(t, d, number(n))
			require.NotNil(t, got, "round %d: entry %d of %d is gone", round, n, acknowledged)
			requireSame(t, noiseOf(got.Stored, n), got)
		}
		require.Empty(t, damaged)
		require.Greater(t, stats(t, d).Entries, int64(acknowledged))
		require.NoError(t, d.Close())
	}
}

// putUntilKilled is the process that TestDiskKilled kills. It writes the number of each entry once it and all
// before it are put.
func putUntilKilled(dir string) {
	d, err := openFreed(dir, killedBytes, Watch{}, time.Now)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	from, _ := strconv.Atoi(os.Getenv("TOLLGATE_TEST_FROM"))
	for n := from; ; n += 4 {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if err := d.Put(context.Background(), number(n+i), noiseOf(time.Now(), n+i)); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
			})
		}
		all.Wait()
		fmt.Println(n + 3)
	}
}

// Of entries that are too many the oldest go, and what has expired goes first.
func TestDiskSweeps(t *testing.T) {
	t.Parallel()
	const room = 8 << 20
	dir, clock := t.TempDir(), newClock()
	d := openSized(t, dir, room, clock, Watch{})
	expired := 0
	for n := 0; d.live(d.db) < room/100*60; n++ {
		clock.Advance(time.Second)
		entry := noiseOf(clock.Now(), n)
		if n%3 == 0 {
			entry.Expires = clock.Now().Add(time.Hour / 2)
		}
		put(t, d, number(n), entry)
		if n%3 == 0 && get(t, d, number(n)) != nil { // it may be dropped while tables are merged
			expired++
		}
	}
	all := stats(t, d).Entries
	clock.Advance(time.Hour / 2)
	d.sweep()
	require.Equal(t, all-int64(expired), stats(t, d).Entries)

	n, dropped := int(all), map[int]bool{}
	for ; d.live(d.db) <= room/100*sweepFrom; n++ {
		clock.Advance(time.Second)
		put(t, d, number(n), noiseOf(clock.Now(), n))
		dropped[n] = get(t, d, number(n)) == nil
	}
	d.sweep()
	require.LessOrEqual(t, d.live(d.db), int64(room/100*sweepFrom))
	left := int64(0)
	for i := range n {
		if got := get(t, d, number(i)); got != nil {
			left++
		} else if i%3 != 0 && !dropped[i] {
			require.Zero(t, left, "entry %d went before an older one", i)
		}
	}
	require.Equal(t, left, stats(t, d).Entries)
	require.Greater(t, left*6000, int64(room/4), "of what had to go there is little more than tables that were being merged, which count twice")
}

// However much is put, the directory stays within its bounds, and in the end there is room for more.
func TestDiskIsBounded(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{1 << 20, 4 << 20} { // the first is the least that a configuration allows
		dir, clock := t.TempDir(), newClock()
		d := openSized(t, dir, room, clock, Watch{})
		most, kept := int64(0), 0
		for n := range int(3 * room / 5500) {
			clock.Advance(time.Millisecond)
			key := n
			if n%4 == 0 {
				key = n / 2 // one that was put before
			}
			put(t, d, number(key), noiseOf(clock.Now(), n))
			if get(t, d, number(key)) != nil {
				kept++
			}
			if n%5 == 0 {
				size, err := sizeOf(dir)
				require.NoError(t, err)
				most = max(most, size)
			}
		}
		t.Logf("of %d bytes: %d at most, %d puts kept, %d entries in the end", room, most, kept, stats(t, d).Entries)
		require.LessOrEqual(t, most, room+max(room/8, 1<<20))
		require.Eventually(t, func() bool {
			put(t, d, number(-1), entryOf(clock.Now(), 10))
			return get(t, d, number(-1)) != nil
		}, 10*time.Second, time.Millisecond)
		require.Eventually(t, func() bool { // what is counted is what is there, once the database does nothing
			size, err := sizeOf(d.path)
			return err == nil && size == d.db.files.bytes.Load()
		}, 10*time.Second, time.Millisecond)
		require.NoError(t, d.Close())
	}
}
