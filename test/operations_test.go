package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperations: docs/operations.md tells what is so. Each row of its table of failures names tests that there are,
// log lines and error codes that the sources hold, and metrics that its own table has.
func TestOperations(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What fails how\n")
	table, rest, found := strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("the page has no table of failures")
	}
	_, metrics, _ := strings.Cut(rest, "<!-- metrics -->\n")
	sources, tests := texts(t)
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what |") {
			continue
		}
		rows++
		if len(cells) != 6 {
			t.Errorf("%d columns, want 6: %s", len(cells), line)
			continue
		}
		named := regexp.MustCompile(`Test\w+`).FindAllString(cells[5], -1)
		if len(named) == 0 {
			t.Errorf("no test shows it: %s", line)
		}
		for _, name := range named {
			if !strings.Contains(tests, "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("there is no test %s: %s", name, line)
			}
		}
		for _, text := range quoted(cells[2]) {
			if !strings.Contains(sources, text) {
				t.Errorf("nothing says %q: %s", text, line)
			}
		}
		for _, code := range regexp.MustCompile("[45]\\d\\d `(\\w+)`").FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(sources, `"`+code[1]+`"`) {
				t.Errorf("no error has the code %s: %s", code[1], line)
			}
		}
		for _, name := range quoted(cells[3]) {
			if strings.Contains(name, "_") && !strings.Contains(name, "go_") && !strings.Contains(metrics, "| `"+name+"`") {
				t.Errorf("there is no metric %s: %s", name, line)
			}
		}
	}
	if rows < 25 {
		t.Errorf("the table has %d rows", rows)
	}
}

// quoted finds what stands between backticks.
func quoted(cell string) (list []string) {
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		list = append(list, match[1])
	}
	return list
}

// texts are all Go sources, and all tests.
func texts(t *testing.T) (sources, tests string) {
	t.Helper()
	var of [2]strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		content, err := os.ReadFile(path)
		kind := 0
		if strings.HasSuffix(path, "_test.go") {
			kind = 1
		}
		of[kind].WriteString("\n")
		of[kind].Write(content)
		return err
	})
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	return of[0].String(), of[1].String()
}
