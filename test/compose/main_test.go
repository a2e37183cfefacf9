package compose

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inside names the directory of the daemon, in the process that runs in the namespaces.
const inside = "TOLLGATE_COMPOSE_DIR"

// TestMain runs the tests once more, in namespaces that end with them. Where there can be none, the test says so.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" || namespaces("true").Run() != nil {
		os.Exit(m.Run())
	}
	if err := enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// namespaces runs a program where it has a network, mounts and processes of its own.
func namespaces(args ...string) *exec.Cmd {
	return exec.Command("unshare", append([]string{"--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"}, args...)...)
}

// enter runs this program there. Afterwards nothing is left.
func enter() error {
	dir, err := os.MkdirTemp("", "tollgate-compose-")
	if err != nil {
		return err
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		return err
	}
	cmd := namespaces(append([]string{self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	for _, remove := range []func(string) error{os.RemoveAll, removeCgroups} {
		if removing := remove(dir); removing != nil {
			err = errors.Join(err, fmt.Errorf("something is left: %w", removing))
		}
	}
	return err
}

// removeCgroups removes those that the daemon made, which know no namespace: below one that is named as its directory.
func removeCgroups(dir string) error {
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(path, filepath.Base(dir)) {
			found = append(found, path)
		}
		return nil // others come and go meanwhile
	})
	for _, path := range slices.Backward(found) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
