package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestRunDir(t *testing.T) {
	root := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", root)
	dead := exec.CommandContext(t.Context(), "true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(root, runDirPrefix+strconv.Itoa(dead.Process.Pid))
	alive := filepath.Join(root, runDirPrefix+strconv.Itoa(os.Getppid()))
	foreign := filepath.Join(root, runDirPrefix+"notes")
	for _, dir := range []string{stale, alive, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "inside"), 0o700); err != nil {
			t.Fatal(err)
		}
	}

	dir, err := newRunDir()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("%s: %v, %v; want a directory for its owner alone", dir, info.Mode(), err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("what a dead process left is still there: %v", err)
	}
	for _, dir := range []string{alive, foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("what is in use was swept: %v", err)
		}
	}
}
