package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const runDirPrefix = "tollgate-"

// newRunDir makes the private directory for the sockets between the processes of one `tollgate run`.
// It is named after the process, and what dead ones left is swept.
func newRunDir() (string, error) {
	root := os.Getenv("XDG_RUNTIME_DIR")
	if root == "" {
		root = os.TempDir()
	}
	sweep(root)
	dir := filepath.Join(root, runDirPrefix+strconv.Itoa(os.Getpid()))
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("making a directory for sockets: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", withHint(fmt.Errorf("making a directory for sockets: %w", err), "set XDG_RUNTIME_DIR or TMPDIR to a directory that you may write to")
	}
	return dir, nil
}

// sweep removes the directories of processes that are gone.
func sweep(root string) {
	left, _ := filepath.Glob(filepath.Join(root, runDirPrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), runDirPrefix))
		if err != nil {
			continue
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another user's stays, and is not in the way
		}
	}
}
