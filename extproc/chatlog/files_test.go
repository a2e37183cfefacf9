package chatlog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/extproc/exchange"
)

// TestTornBefore: what a process that died left of a line does not spoil the next one.
func TestTornBefore(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]int{"": 0, "{}\n": 0, `{"assistant": "half of`: 1} {
		dir := t.TempDir()
		path := filepath.Join(dir, "openai", "chat", "chat.log")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		l := New(options(dir))
		l.Begin(newCall("next")).Done(nil, exchange.End{Cause: exchange.Whole, Status: 200})
		closeLog(t, l)
		valid, torn := 0, 0
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if json.Valid([]byte(line)) {
				valid++
			} else {
				torn++
			}
		}
		if valid < 2 || torn != want {
			t.Errorf("after %q: %s", before, content)
		}
	}
}
