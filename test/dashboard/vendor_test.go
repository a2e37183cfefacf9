package dashboard

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestVendored: what is built in of others is what the lock file names, byte for byte.
func TestVendored(t *testing.T) {
	t.Parallel()
	const source = "../../cmd/tollgate/dashboard"
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.CommandContext(t.Context(), "npm", "ci", "--prefix", dir, "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, said)
	}
	for vendored, locked := range map[string]string{
		"uPlot.iife.min.js": "dist/uPlot.iife.min.js", "uPlot.min.css": "dist/uPlot.min.css", "uPlot.LICENSE": "LICENSE",
	} {
		got, err := os.ReadFile(filepath.Join(source, "assets/vendor", vendored))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, "node_modules/uplot", locked))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not the one of the lock file: make dashboard", vendored)
		}
	}
	all, err := os.ReadDir(filepath.Join(source, "assets/vendor"))
	if err != nil || len(all) != 3 {
		t.Errorf("there are %d files of others, and 3 are known: %v", len(all), err)
	}
}
