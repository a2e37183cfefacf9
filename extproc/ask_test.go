package extproc

import (
	"strings"
	"testing"
)

// TestShortened: a long name is cut between two letters.
func TestShortened(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("m", maxModel-1)
	for model, want := range map[string]string{"gpt-4o": "gpt-4o", "": "", long + "é": long, long + "mé": long + "m"} {
		if got := shortened(model); got != want {
			t.Errorf("%q is told as %q", model, got)
		}
	}
}
