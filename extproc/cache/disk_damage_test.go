package cache

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

// damages are what can become of a file.
func damages() map[string]func(data []byte) []byte {
	garble := func(data []byte) {
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
	}
	return map[string]func(data []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(data []byte) []byte { return data[:rand.IntN(len(data)+1)] },
		"longer":  func(data []byte) []byte { return append(data, bytes.Repeat([]byte{1}, 10_000)...) },
		"zeros":   func(data []byte) []byte { return make([]byte, len(data)) },
		"noise":   func(data []byte) []byte { garble(data); return data },
		"missing": nil,
		"one byte": func(data []byte) []byte {
			if len(data) > 0 {
				data[rand.IntN(len(data))] ^= 1 << rand.IntN(8)
			}
			return data
		},
		"the end": func(data []byte) []byte { garble(data[len(data)*9/10:]); return data },
		"a page": func(data []byte) []byte {
			at := rand.IntN(len(data) + 1)
			garble(data[at:min(at+4096, len(data))])
			return data
		},
	}
}

// inflict does it to a file, without changing which file it is.
func inflict(t testing.TB, path string, damage func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	switch {
	case err != nil:
	case damage == nil:
		err = os.Remove(path)
	default:
		err = os.WriteFile(path, damage(data), 0o600)
	}
	if !errors.Is(err, os.ErrNotExist) { // the database has removed it
		require.NoError(t, err)
	}
}

const (
	damagedBytes   = 4 << 20 // so that there are some tables
	damagedEntries = 150
)

// fillDamaged puts entries until there are tables in several levels, a log and all else.
func fillDamaged(t testing.TB, d *Disk, clock *fakeClock, entries int) {
	t.Helper()
	for n := range entries {
		put(t, d, number(n), noiseOf(clock.Now(), n))
	}
}

// requireWhole gets all entries: each is whole, or not there. Then the store works, an empty one if need be.
func requireWhole(t testing.TB, d *Disk, clock *fakeClock) (found int) {
	t.Helper()
	for n := range damagedEntries {
		got, err := d.Get(t.Context(), number(n))
		if err == nil && got != nil {
			found++
			requireSame(t, noiseOf(got.Stored, n), got)
		}
	}
	require.Eventually(t, func() bool {
		if d.Put(t.Context(), number(-1), entryOf(clock.Now(), 10)) != nil {
			return false
		}
		got, err := d.Get(t.Context(), number(-1))
		return err == nil && got != nil
	}, 30*time.Second, time.Millisecond)
	return found
}

// TestDiskDamaged: whatever became of any file while nobody looked, the store opens, no entry is another than
// was put, and the process lives.
func TestDiskDamaged(t *testing.T) {
	t.Parallel()
	clock := newClock()
	whole := t.TempDir()
	d := openSized(t, whole, damagedBytes, clock, Watch{})
	fillDamaged(t, d, clock, damagedEntries)
	var copied string                   // as a death of the process leaves it: with a log
	require.Eventually(t, func() bool { // not while files are removed
		copied = t.TempDir()
		return os.CopyFS(copied, os.DirFS(whole)) == nil
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, d.Close())
	kinds := map[string]string{} // the last file of each, and for tables the first as well
	for _, file := range files(t, copied) {
		kind := strings.Trim(filepath.Base(file), "0123456789")
		if before, again := kinds[kind]; again && kind == ".sst" {
			kinds["first"] = cmp.Or(kinds["first"], before)
		}
		kinds[kind] = file
	}
	require.GreaterOrEqual(t, len(kinds), 7)
	for name, damage := range damages() {
		for _, file := range kinds {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				require.NoError(t, os.CopyFS(dir, os.DirFS(copied)))
				inflict(t, filepath.Join(dir, file), damage)
				var aside atomic.Int32
				d := openSized(t, dir, damagedBytes, clock, Watch{SetAside: func(path string, err error) {
					if aside.Add(1); !strings.HasSuffix(path, corrupt) || err == nil {
						t.Errorf("%s %v", path, err)
					}
				}})
				requireWhole(t, d, clock)
				require.LessOrEqual(t, aside.Load(), int32(1))
				if aside.Load() == 1 {
					require.DirExists(t, filepath.Join(dir, answersName+corrupt))
				}
				require.NoError(t, d.Purge(t.Context()))
				require.NoDirExists(t, filepath.Join(dir, answersName+corrupt))
				require.NoError(t, d.Close())
			})
		}
	}
}

// TestDiskDamagedWhileOpen: the same, to all tables of an open store that goes on to be read and written.
func TestDiskDamagedWhileOpen(t *testing.T) {
	t.Parallel()
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clock := t.TempDir(), newClock()
			d := openSized(t, dir, damagedBytes, clock, Watch{})
			fillDamaged(t, d, clock, damagedEntries)
			for _, file := range files(t, dir) {
				inflict(t, filepath.Join(dir, file), damage)
			}
			requireWhole(t, d, clock)
			for n := range damagedEntries { // and through merges
				_ = d.Put(t.Context(), number(n), noiseOf(clock.Now(), n))
			}
			requireWhole(t, d, clock)
			require.NoError(t, d.Purge(t.Context()))
			fillDamaged(t, d, clock, 10)
			require.Equal(t, 10, requireWhole(t, d, clock))
		})
	}
}

// TestDiskUnwritable: whichever write is the first that fails, all that was put before is there, also after
// the disk can be written again, and the process lives.
func TestDiskUnwritable(t *testing.T) {
	t.Parallel()
	for first := 1; ; first += 1 + first/5 {
		var count, failing atomic.Int32
		full := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove {
				return nil
			}
			if n := int(count.Add(1)); failing.Load() == 1 && n >= first {
				return syscall.ENOSPC
			}
			return nil
		})
		dir, clock := t.TempDir(), newClock()
		heard := &changes{}
		d := openSized(t, dir, damagedBytes, clock, Watch{Written: heard.hear})
		require.NoError(t, d.exchange(nil, func() error {
			d.files = errorfs.Wrap(vfs.Default, full)
			failing.Store(1)
			return nil
		}, nil)) // the first write may be one of its opening
		was := map[int]bool{}
		for n := range 150 {
			if d.Put(t.Context(), number(n), noiseOf(clock.Now(), n)) == nil {
				was[n] = true
			}
			if n%50 == 0 {
				clock.Advance(time.Second)
				d.sweep()
			}
		}
		writes := int(count.Load())
		failing.Store(0)
		require.Eventually(t, func() bool {
			d.mend()
			d.retry()
			return d.Put(t.Context(), number(-1), entryOf(clock.Now(), 10)) == nil
		}, 30*time.Second, time.Millisecond)
		for n := range was {
			got := get(t, d, number(n))
			require.NotNil(t, got, "write %d of %d failed: entry %d is gone", first, writes, n)
			requireSame(t, noiseOf(got.Stored, n), got)
		}
		require.NoError(t, d.Close())
		d = openSized(t, dir, damagedBytes, clock, Watch{SetAside: func(_ string, err error) { t.Error(err) }})
		for n := range was {
			require.NotNil(t, get(t, d, number(n)))
		}
		require.NoError(t, d.Close())
		if writes < first { // none failed
			require.Greater(t, writes, 50)
			return
		}
	}
}

// noiseOf is an entry with a body that no compression makes smaller, and that is always the same for a number.
func noiseOf(now time.Time, n int) *Entry {
	entry := entryOf(now, 5000+n%1000)
	noise := rand.New(rand.NewPCG(1, uint64(n)))
	for i := 0; i+8 <= len(entry.Body); i += 8 {
		binary.NativeEndian.PutUint64(entry.Body[i:], noise.Uint64())
	}
	return entry
}
