package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts call this program as `tollgate`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tollgate": main})
}

// TestScripts runs testdata/*.txtar: shell sessions with this program.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
