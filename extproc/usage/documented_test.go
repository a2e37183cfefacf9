package usage

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
)

var update = flag.Bool("update", false, "write the table of metrics anew")

// TestMetricsAreDocumented: the table in docs/operations.md is what /metrics says of itself: each metric of ours,
// its labels, and what it counts. The flag -update writes it.
func TestMetricsAreDocumented(t *testing.T) {
	const page, begin, end = "../../docs/operations.md", "<!-- metrics -->\n", "<!-- end -->"
	m := someMetrics()
	everything(t, m)
	for _, end := range []exchange.End{{Priced: true, Cost: 1, Saved: 1}, {Unpriced: true, Status: 200}} {
		hear(m.Begin(aCall()), aRequest(t), anAnswer(), end)
	}
	m.KeyAnswered("openai", "5c977922", 429)
	m.SpansLost(1)
	m.ReloadFailed()
	require.NoError(t, m.Register(
		CacheStats(func() (int64, int64) { return 1, 1 }),
		KeyRests(func(yield func(string, string, time.Duration)) { yield("openai", "5c977922", time.Second) }),
	))
	table := tableOf(t, m)
	for _, name := range namesInSources(t) {
		isLabel := strings.Contains(table, " "+name+",")
		assert.True(t, isLabel || strings.Contains(table, "`"+name+"`"), "nothing was counted for %s in this test", name)
	}
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), begin)
	written, after, closed := strings.Cut(rest, end)
	require.True(t, found && closed, "%s has no place for the table", page)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(before+begin+table+end+after), 0o600))
		return
	}
	assert.Equal(t, table, written, "run `make golden`")
}

// tableOf makes the table of what /metrics shows.
func tableOf(t *testing.T, m *Metrics) string {
	t.Helper()
	labels := labelsByMetric(t, m)
	var table strings.Builder
	table.WriteString("| metric | labels | what it is |\n|---|---|---|\n")
	for _, line := range regexp.MustCompile(`(?m)^# HELP ((?:tollgate|gen_ai)_\w+) (.*)$`).FindAllStringSubmatch(scrape(t, m), -1) {
		of := labels[line[1]]
		if of == nil {
			of = labels[line[1]+"_sum"]
		}
		require.NotNil(t, of, line[1])
		names := slices.Sorted(maps.Keys(of))
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", line[1], strings.Join(names, ", "), line[2])
	}
	return table.String()
}

// namesInSources are the metrics that this package's sources name.
func namesInSources(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		content, err := os.ReadFile(entry.Name())
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`"((?:tollgate|gen_ai)_[a-z_]+)"`).FindAllStringSubmatch(string(content), -1) {
			names[name[1]] = true
		}
	}
	require.Greater(t, len(names), 20)
	return slices.Sorted(maps.Keys(names))
}
