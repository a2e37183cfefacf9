package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUpToDate: what is made of the schema is what the schema makes now.
func TestUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, below := range []string{filepath.Dir(schema), "docs"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	source, err := os.ReadFile(filepath.Join("..", schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, schema), source, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := generate(dir, filepath.Join(dir, "docs")); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Dir(schema)
	for made, checkedIn := range map[string]string{
		filepath.Join(beside, "config.pb.go"):         filepath.Join("..", beside, "config.pb.go"),
		filepath.Join(beside, "tollgate.schema.json"): filepath.Join("..", beside, "tollgate.schema.json"),
		filepath.Join("docs", "config.md"):            filepath.Join("..", "..", "docs", "config.md"),
	} {
		got, err := os.ReadFile(checkedIn)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, made))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is old: run `make proto` (-want +got):\n%s", checkedIn, diff)
		}
	}
}
