package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	runDirPrefix = "tollgate-"
	gateSocket   = "gate.sock"
)

// newRunDir makes the private directory for the sockets between the processes of one `tollgate run`:
// tollgate-PID-RANDOM, so that what dead ones left can be swept.
func newRunDir() (string, error) {
	root := os.Getenv("XDG_RUNTIME_DIR")
	if root == "" {
		root = os.TempDir()
	}
	sweep(root)
	dir, err := os.MkdirTemp(root, runDirPrefix+strconv.Itoa(os.Getpid())+"-") // mode 0700
	if err != nil {
		return "", withHint(fmt.Errorf("making a directory for sockets: %w", err), "set XDG_RUNTIME_DIR or TMPDIR to a directory that you may write to")
	}
	return dir, nil
}

// sweep removes the directories of processes that are gone. One in another
// container that shares the root has a pid that means nothing here, so its socket is asked too.
func sweep(root string) {
	left, _ := filepath.Glob(filepath.Join(root, runDirPrefix+"*"))
	for _, dir := range left {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), runDirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || answered(filepath.Join(dir, gateSocket)) {
			continue
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another user's stays, and is not in the way
		}
	}
}

// answered tells whether someone listens at a socket.
func answered(path string) bool {
	connection, err := net.DialTimeout("unix", path, time.Second) //nolint:gosec // a socket that the operator names, or that was found
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
