package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc"
	"tollgate/extproc/usage"
	"tollgate/xds"
)

// wholeFile is a configuration with something to cut off at its end that leaves it readable.
const wholeFile = `clients: [{name: alice, keys: [fk-sentinel-0123456789]}]
upstreams: [{name: a, url: "http://192.0.2.1", keys: ["file:key"]}]
routes:
  - {prefix: /, upstream: a}
  - {prefix: /a, upstream: a}
`

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

// started is a live configuration without an Envoy, of wholeFile in the working directory.
func started(t *testing.T) *live {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "key", "sk-0")
	write(t, defaultConfig, wholeFile)
	l := &live{
		log: zap.NewNop(), source: &source{}, gate: extproc.NewGate(extproc.Options{Log: zap.NewNop()}),
		control: xds.NewServer(zap.NewNop()), metrics: usage.NewMetrics("test"), history: &history{},
		threads: threadsBeside(false),
	}
	c, err := l.source.load()
	require.NoError(t, err)
	l.read = c.Files
	require.NoError(t, l.apply(context.Background(), c))
	return l
}

// TestReadAhead: what was read before the file had rested is used, and not read again, only if the file is as it was
// then, and those that it names.
func TestReadAhead(t *testing.T) {
	const bad = "routes: [" // is not even YAML
	next := strings.ReplaceAll(wholeFile, "/a", "/b")
	half := wholeFile[:strings.Index(wholeFile, "  - {prefix: /a")]
	for _, test := range []struct {
		name        string
		first, then func(t *testing.T)
		used        bool   // what was read ahead
		in          bool   // whether another one is in force then
		prefix      string // of the first route
		problems    int    // that operators hear of
	}{
		{name: "an edit", first: edit(next), used: true, in: true, prefix: "/b"},
		{name: "a key", first: file("key", "sk-1"), used: true, in: true, prefix: "/a"},
		{name: "a comment", first: edit(wholeFile + "# x\n"), used: true, prefix: "/a"},
		{name: "nothing", prefix: "/a"},
		{name: "half a file", first: edit(half), then: edit(next), in: true, prefix: "/b"},
		{name: "half a file, and back", first: edit(half), then: edit(wholeFile), prefix: "/a"},
		{name: "a bad half", first: edit(bad), then: edit(next), in: true, prefix: "/b"},
		{name: "a bad file", first: edit(bad), prefix: "/a", problems: 1},
		{name: "bad after good", first: edit(next), then: edit(bad), prefix: "/a", problems: 1},
		{name: "an edit, and a key", first: edit(next), then: file("key", "sk-1"), in: true, prefix: "/b"},
		{name: "a key that goes", first: edit(next), then: remove("key"), prefix: "/a", problems: 1},
		{name: "a large file", first: edit(next + "#" + strings.Repeat("x", aheadAtMost)), in: true, prefix: "/b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := started(t)
			before := l.inForce()
			for _, step := range []func(*testing.T){test.first, func(*testing.T) { l.takeAhead() }, test.then} {
				if step != nil {
					step(t)
				}
			}
			require.Same(t, before, l.inForce(), "in force before the file has rested")
			require.Nil(t, l.history.failed(), "said of a file that has not rested")
			ahead := l.ahead
			require.Equal(t, test.in, l.reload(context.Background()))
			require.Nil(t, l.ahead)
			require.Equal(t, test.used, ahead != nil && samePlace(ahead.config.Files, l.read))
			if test.used && test.in {
				require.Same(t, ahead.config, l.inForce())
			}
			require.Equal(t, test.prefix, l.inForce().Routes[0].Prefix)
			require.Equal(t, test.problems > 0, l.history.failed() != nil)
			require.Equal(t, test.problems > 0, l.stale())
		})
	}
}

// samePlace tells whether two lists are one.
func samePlace(a, b []config.File) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

func edit(content string) func(*testing.T) { return file(defaultConfig, content) }

func file(name, content string) func(*testing.T) {
	return func(t *testing.T) { write(t, name, content) }
}

func remove(name string) func(*testing.T) {
	return func(t *testing.T) { require.NoError(t, os.Remove(name)) }
}

// TestReloads: whatever is written, and whenever it is looked at, in force is what the files say, or the last that was
// when they say nothing good.
func TestReloads(t *testing.T) {
	l := started(t)
	random := rand.New(rand.NewPCG(1, 2))
	want := l.inForce()
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	ahead := 0
	for range 300 {
		switch random.IntN(6) {
		case 0:
			write(t, "key", one("", "sk-0", "sk-1", "sk-2"))
		case 1:
			text := strings.ReplaceAll(wholeFile, "/a", one("/a", "/b", "/c"))
			write(t, defaultConfig, one(text, text, text[:random.IntN(len(text))], text[:strings.LastIndex(text, "  -")]))
		case 2, 3:
			l.takeAhead()
		default:
			if l.ahead != nil && !l.source.changed(l.ahead.config.Files) {
				ahead++
			}
			now, err := config.Load(defaultConfig, os.LookupEnv)
			changes := err == nil && !now.Equal(want)
			require.Equal(t, changes, l.reload(context.Background()))
			if changes {
				want = now
			}
			require.True(t, want.Equal(l.inForce()))
		}
	}
	require.Greater(t, ahead, 3, "so seldom was anything read ahead")
}

// TestFilesThatCome: a file that comes later counts, whether one named it already or it counts by its name.
func TestFilesThatCome(t *testing.T) {
	const forward = "forward:\n  - {base_url: \"http://192.0.2.1\", route: /b, type: openai}\n"
	named := strings.ReplaceAll(strings.ReplaceAll(wholeFile, "/a", "/b"), "file:key", "file:key2")
	for name, steps := range map[string]struct{ before, come func(*testing.T) }{
		"a key that was named": {edit(named), file("key2", "sk-2")},
		"tollgate.yaml":        {nil, edit(strings.ReplaceAll(strings.ReplaceAll(wholeFile, "/a", "/b"), `"file:key"`, "sk-1"))},
		forwardYAML:            {nil, file(forwardYAML, forward)},
	} {
		t.Run(name, func(t *testing.T) {
			l := started(t)
			if steps.before == nil {
				remove(defaultConfig)(t)
				t.Setenv("OPENAI_BASE_URL", "http://192.0.2.1")
				t.Setenv("OPENAI_ROUTE_PREFIX", "/a")
				l.source = &source{}
				c, err := l.source.load()
				require.NoError(t, err)
				l.read = c.Files
				require.NoError(t, l.apply(t.Context(), c))
			}
			ctx, end := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- l.follow(ctx) }()
			if steps.before != nil {
				steps.before(t)
				require.Eventually(t, func() bool { return l.history.failed() != nil }, time.Minute, time.Millisecond)
			}
			steps.come(t)
			require.Eventually(t, func() bool { return l.inForce().Routes[0].Prefix == "/b" }, time.Minute, time.Millisecond)
			end()
			require.NoError(t, <-ended)
		})
	}
}
