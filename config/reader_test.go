package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// edited is a file whose routes are written in many ways.
const edited = `# the routes stand between other fields
clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams:
  - {name: one, url: "http://192.0.2.1", keys: [sk-sentinel-0123456789]}
  - {name: two, url: "http://192.0.2.2"}
routes:
  - {prefix: /, upstream: one}
  # a comment
  - {prefix: /a, upstream: one}
  - prefix: /b
    upstream: two

    limits:
      - requests: 5/minute
      - {tokens: 6/minute}
  - {prefix: "/c", upstream: one, # another
     models: [{match: ["gpt*"], upstreams: [{name: two}]}]}
  - prefix: >-
      /d
    upstream: "two"
  - &e {prefix: /e, upstream: one}
  - {prefix: "/${F}", upstream: two}
  - {prefix: /g, upstreams: [{name: one, weight: 2}, {name: two, weight: 1}]}
  - {prefix: /h, upstream: one, cache: {ttl: 5m}}
limits: [{requests: 100/minute}]
`

// same wants of a reader what Parse says.
func same(t *testing.T, r *Reader, content string) {
	t.Helper()
	environment := environmentOf(map[string]string{"F": "f"})
	want, wantErr := Parse("t.yaml", []byte(content), environment)
	got, err := r.Parse("t.yaml", []byte(content), environment)
	if wantErr != nil || err != nil {
		require.Equal(t, fmt.Sprint(wantErr), fmt.Sprint(err), "of:\n%s", content)
		return
	}
	require.True(t, want.Equal(got), "read otherwise:\n%s", content)
	require.Equal(t, want.Text(), got.Text())
	require.Equal(t, want.Files, got.Files)
}

// TestReader: whatever is edited, a reader that has read the file before says what one says that has not.
func TestReader(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{
		"\n", " ", "-", "  - ", "\"", "'", "#", "{", "}", "[", "]", ":", ",", "&e ", "*e", "|", ">", "/", "x", "\t", "routes:\n", "---\n", "...\n", "!", "${F}", "$",
		"  - {prefix: /new, upstream: one}\n", "  - *e\n", "  - {prefix: \"/x\n  - {prefix: /y\", upstream: one}\n", "limits: []\n", "  - |\n    x\n", "\u0085", "\r",
	}
	fast := 0
	for range 20 {
		r, content := &Reader{}, edited
		same(t, r, content)
		for range 20 {
			lines := strings.SplitAfter(content, "\n")
			at, from := random.IntN(len(lines)), random.IntN(len(lines))
			switch random.IntN(7) {
			case 0: // a line goes
				lines[at] = ""
			case 1: // lines change places
				lines[at], lines[from] = lines[from], lines[at]
			case 2: // a line comes a second time
				lines[at] += lines[from]
			case 3: // a piece comes before a line
				lines[at] = pieces[random.IntN(len(pieces))] + lines[at]
			case 4: // or within it
				n := random.IntN(len(lines[at]) + 1)
				lines[at] = lines[at][:n] + pieces[random.IntN(len(pieces))] + lines[at][n:]
			case 5: // a value changes
				lines[at] = strings.Replace(lines[at], "one", "two", 1)
			case 6:
				lines[at] = strings.NewReplacer("5/", "8/", "8/", "5/", "5m", "6m").Replace(lines[at])
			}
			next := strings.Join(lines, "")
			if r.changed("t.yaml", splitRoutes([]byte(next)), environmentOf(map[string]string{"F": "f"})) != nil {
				fast++
			}
			same(t, r, next)
			if _, err := Parse("t.yaml", []byte(next), environmentOf(map[string]string{"F": "f"})); err == nil {
				content = next
			}
		}
	}
	require.Greater(t, fast, 20, "so few edits were read without the rest")
}

// TestReaderKeeps: of the routes, what is as it was is not read again, wherever it stands.
func TestReaderKeeps(t *testing.T) {
	t.Parallel()
	r := &Reader{}
	_, err := Parse("t.yaml", []byte(edited), environmentOf(map[string]string{"F": "f"}))
	require.NoError(t, err)
	same(t, r, edited)
	require.Len(t, r.known, 6) // the others name what may mean something else in another file
	h := r.known["  - {prefix: /h, upstream: one, cache: {ttl: 5m}}\n"]
	require.NotNil(t, h)
	same(t, r, strings.Replace(edited, "  - {prefix: /a, upstream: one}\n", "  - {prefix: /new, upstream: two}\n", 1))
	require.Same(t, h, r.known["  - {prefix: /h, upstream: one, cache: {ttl: 5m}}\n"])
	same(t, r, strings.Replace(edited, "ttl: 5m", "ttl: 6m", 1))
	require.NotContains(t, r.known, "  - {prefix: /h, upstream: one, cache: {ttl: 5m}}\n")
}

// FuzzReader: the same of any two files, one after the other.
func FuzzReader(f *testing.F) {
	f.Add(edited, strings.Replace(edited, "/a", "/z", 1))
	f.Add(edited, strings.Replace(edited, "  - {prefix: /a", "  - {prefix: \"/a\n  - b\"", 1))
	f.Fuzz(func(t *testing.T, before, after string) {
		r := &Reader{}
		same(t, r, before)
		same(t, r, after)
		same(t, r, before)
	})
}
