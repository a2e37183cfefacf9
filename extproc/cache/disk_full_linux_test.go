package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCacheDiskFull: a disk that others fill, and make room on, is an error or a dropped entry of a call, and no more.
// It is a real one, which a child mounts where nobody else sees it.
func TestCacheDiskFull(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "TOLLGATE_TEST_FILL="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		child.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	output, err := child.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || child.ProcessState != nil && child.ProcessState.ExitCode() == mayNotMount {
		t.Skip("this system lets no test mount a disk:", err, string(output))
	}
	require.NoError(t, err, "%s", output)
	t.Logf("%s", output)
}

const mayNotMount = 77

// fillDisk is the child of TestCacheDiskFull.
func fillDisk(dir string) {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=12m")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(mayNotMount)
	}
	if err := fill(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func fill(dir string) error {
	var said atomic.Int32 // how often that it cannot be written
	d, err := NewDisk(filepath.Join(dir, "cache"), 16<<20, testEntry, Watch{
		Written:  func(up bool, _ error) { said.Add(map[bool]int32{false: 1}[up]) },
		SetAside: func(_ string, err error) { panic(err) },
	})
	if err != nil {
		return err
	}
	var failed, missing, found int
	for n := range 1_500 {
		if n%10 == 0 { // others take all that there is, or some, or nothing
			_ = os.Remove(filepath.Join(dir, "others"))
			_ = os.WriteFile(filepath.Join(dir, "others"), make([]byte, rand.IntN(12<<20)), 0o600)
		}
		if err := d.Put(context.Background(), number(n), noiseOf(time.Now(), n)); err != nil {
			failed++
			d.retry() // not only after a while
			continue
		}
		before := n - rand.IntN(min(n+1, 300))
		got, err := d.Get(context.Background(), number(before))
		switch {
		case err != nil || got == nil:
			missing++
		case string(got.Body) != string(noiseOf(got.Stored, before).Body):
			return fmt.Errorf("entry %d is another", before)
		default:
			found++
		}
	}
	fmt.Println(failed, "puts failed,", found, "gets found an entry,", missing, "did not; it was said", said.Load(), "times")
	if failed == 0 || found == 0 || said.Load() == 0 {
		return errors.New("the disk was never full, or always")
	}
	_ = os.Remove(filepath.Join(dir, "others"))
	for end := time.Now().Add(30 * time.Second); ; d.retry() {
		if err := d.Put(context.Background(), number(-1), entryOf(time.Now(), 10)); err == nil {
			if got, err := d.Get(context.Background(), number(-1)); err == nil && got != nil {
				return d.Close()
			}
		}
		if time.Now().After(end) {
			return errors.New("nothing is kept though there is room")
		}
	}
}
