// Package test holds what is checked of the whole tree: who may import whom, and, below e2e, the
// gateway from end to end.
package test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "tollgate/"
	schema  = "tollgate/proto/tollgate/v1"
	control = "github.com/envoyproxy/go-control-plane"
)

// room is what one package may know.
type room struct {
	mayImport []string // of ours, directly
	knowsAll  bool     // may import whatever is ours
	envoy     bool     // may name Envoy's types, or import who does
	plain     bool     // the standard library alone
}

// rooms is docs/architecture.md in a form that can fail. A new package needs a line here: which one
// says what it is.
func rooms() map[string]room {
	policy := room{mayImport: []string{
		"tollgate/config", "tollgate/config/money", "tollgate/config/rate", "tollgate/extproc/exchange", "tollgate/extproc/openai",
	}}
	return map[string]room{
		"tollgate/cmd/tollgate": {knowsAll: true, envoy: true},
		"tollgate/bench":        {knowsAll: true, envoy: true},
		"tollgate/bench/load":   {},
		"tollgate/bench/report": {plain: true},
		"tollgate/proto/gen":    {},
		schema:                  {},
		"tollgate/config":       {mayImport: []string{schema, "tollgate/config/money", "tollgate/config/rate"}},
		"tollgate/config/money": {plain: true},
		"tollgate/config/rate":  {mayImport: []string{"tollgate/config/money"}, plain: true},
		"tollgate/envoy":        {mayImport: []string{"tollgate/config"}, envoy: true},
		"tollgate/cmd/tollgate/dashboard": {mayImport: []string{
			"tollgate/config", "tollgate/extproc/exchange", "tollgate/extproc/openai",
		}},
		"tollgate/cmd/tollgate/link":     {mayImport: []string{"tollgate/config"}},
		"tollgate/cmd/tollgate/takeover": {mayImport: []string{"tollgate/extproc/limit"}},
		"tollgate/xds":                   {mayImport: []string{"tollgate/config"}, envoy: true},
		"tollgate/xds/failures":          {mayImport: []string{"tollgate/config"}, envoy: true},
		"tollgate/xds/mesh":              {mayImport: []string{"tollgate/config", "tollgate/envoy", "tollgate/xds"}, envoy: true},
		"tollgate/extproc": {envoy: true, mayImport: []string{
			"tollgate/config", "tollgate/config/money", "tollgate/extproc/exchange", "tollgate/extproc/openai",
			"tollgate/extproc/auth", "tollgate/extproc/limit", "tollgate/extproc/cache",
			"tollgate/extproc/chatlog", "tollgate/extproc/usage", "tollgate/extproc/flow", "tollgate/extproc/tokens",
			"tollgate/extproc/share", "tollgate/extproc/shallow",
		}},
		"tollgate/extproc/codec":          {envoy: true},
		"tollgate/extproc/shallow":        {envoy: true},
		"tollgate/extproc/exchange":       {plain: true},
		"tollgate/extproc/openai":         {},
		"tollgate/extproc/openai/convert": {mayImport: []string{"tollgate/extproc/openai"}},
		"tollgate/extproc/auth":           policy,
		"tollgate/extproc/limit":          policy,
		"tollgate/extproc/cache": {mayImport: []string{
			"tollgate/config", "tollgate/extproc/exchange", "tollgate/extproc/openai", "tollgate/extproc/openai/convert",
		}},
		"tollgate/extproc/share": {mayImport: []string{"tollgate/config"}},
		"tollgate/extproc/chatlog": {mayImport: []string{
			"tollgate/config", "tollgate/extproc/exchange", "tollgate/extproc/openai", "tollgate/extproc/chatlog/pyliteral",
		}},
		"tollgate/extproc/chatlog/pyliteral": {plain: true},
		"tollgate/extproc/usage":             policy,
		"tollgate/extproc/tokens":            {mayImport: []string{"tollgate/extproc/openai"}},
		"tollgate/extproc/flow":              {mayImport: []string{"tollgate/config/rate", "tollgate/extproc/openai"}},
	}
}

// roomOf finds the rules of a package. What is below test knows all, and only the command may use it
// (for `tollgate mock`).
func roomOf(path string) (room, bool) {
	if path == "tollgate/test" || strings.HasPrefix(path, "tollgate/test/") {
		return room{knowsAll: true, envoy: true}, true
	}
	rules, ok := rooms()[path]
	return rules, ok
}

// goPackage is what `go list` says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string // direct ones, without those of tests
	Deps       []string // all, transitively
}

// TestImports: every room is what its name says, and no more.
func TestImports(t *testing.T) {
	t.Parallel()
	packages := list(t)
	if len(packages) == 0 {
		t.Fatal("go list found no package: nothing was checked")
	}
	for _, p := range packages {
		rules, known := roomOf(p.ImportPath)
		if !known {
			t.Errorf("%s is not in the table of this test: say there what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) && !rules.knowsAll && !slices.Contains(rules.mayImport, imported) {
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
			if rules.plain && strings.Contains(imported, ".") {
				t.Errorf("%s must do with the standard library, and imports %s", p.ImportPath, imported)
			}
		}
		at := slices.IndexFunc(p.Deps, func(d string) bool { return strings.HasPrefix(d, control) })
		if at >= 0 && !rules.envoy {
			t.Errorf("%s must not know Envoy, and depends on %s", p.ImportPath, p.Deps[at])
		}
	}
}

// list asks Go for the packages of this module.
func list(t *testing.T) []goPackage {
	t.Helper()
	noticeSources(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("reading what go list says: %v", err)
		}
		packages = append(packages, p)
	}
}

// noticeSources looks at every source file: `go test` takes an old result for this package's unless a
// file has changed that the test itself looked at, and `go list` is another process.
func noticeSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("looking at the sources: %v", err)
	}
}
