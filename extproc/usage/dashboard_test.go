package usage

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDashboards holds each dashboard against the registry: the metrics and labels that it names
// exist, and each of our metrics is on one.
func TestDashboards(t *testing.T) {
	m := someMetrics()
	everything(t, m)
	exist := labelsByMetric(t, m)
	files, err := filepath.Glob("../../deploy/grafana/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no dashboard was found")
	shown := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var dashboard any
		require.NoError(t, json.Unmarshal(raw, &dashboard), file)
		expressions := find(dashboard, "expr", "definition")
		require.NotEmpty(t, expressions, "%s names no metric", file)
		for _, e := range expressions {
			checkExpression(t, exist, e, shown)
		}
	}
	require.NotEmpty(t, shown)
	for name := range exist {
		base := family(name)
		if strings.HasPrefix(name, "tollgate_") || strings.HasPrefix(name, "gen_ai_") {
			assert.True(t, shown[base], "no panel shows %s", base)
		}
	}
}

func checkExpression(t *testing.T, exist map[string]map[string]bool, expression string, shown map[string]bool) {
	t.Helper()
	metrics, labels := namesIn(expression)
	assert.NotEmpty(t, metrics, "no metric in %s", expression)
	for _, metric := range metrics {
		shown[family(metric)] = true
		known, ok := exist[metric]
		if assert.True(t, ok, "%s does not exist: %s", metric, expression) {
			for _, label := range labels {
				assert.True(t, known[label], "%s has no label %s: %s", metric, label, expression)
			}
		}
	}
}

// TestDashboardIsProvisionable looks for what an import fails on, or shows nothing with.
func TestDashboardIsProvisionable(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/grafana/tollgate.json")
	require.NoError(t, err)
	var d struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID         int    `json:"id"`
			Type       string `json:"type"`
			Title      string `json:"title"`
			Datasource struct {
				UID string `json:"uid"`
			} `json:"datasource"`
			GridPos struct{ X, Y, W, H int } `json:"gridPos"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(raw, &d))
	assert.NotEmpty(t, d.UID)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "two panels have the id %d", p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, cells[[2]int{x, y}], "%s lies on another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" {
			assert.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		}
	}
}

// TestNamesIn makes sure that the test above sees what it is there to see.
func TestNamesIn(t *testing.T) {
	metrics, labels := namesIn(`topk(10, sum by (le, client) (rate(a_bucket{x=~"b{c}|d",y!=""}[$__rate_interval]))) / on (z) c or vector(0)`)
	assert.Equal(t, []string{"a_bucket", "c"}, metrics)
	assert.Equal(t, []string{"client", "le", "x", "y", "z"}, labels)
	metrics, labels = namesIn(`label_values(a_total, route)`)
	assert.Equal(t, []string{"a_total"}, metrics)
	assert.Equal(t, []string{"route"}, labels)
}

// labelsByMetric are the names of all samples, each with its labels.
func labelsByMetric(t *testing.T, m *Metrics) map[string]map[string]bool {
	t.Helper()
	sample := regexp.MustCompile(`^([a-zA-Z_:]\w*)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="`)
	exist := map[string]map[string]bool{}
	for line := range strings.Lines(scrape(t, m)) {
		found := sample.FindStringSubmatch(line)
		if found == nil {
			continue // a comment
		}
		if exist[found[1]] == nil {
			exist[found[1]] = map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(found[2], -1) {
			exist[found[1]][l[1]] = true
		}
	}
	require.NotEmpty(t, exist)
	return exist
}

// family is a metric's name without what a histogram's samples add.
func family(name string) string {
	for _, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// namesIn finds the metrics and the labels that a PromQL expression, or a query of a variable, names.
// It knows as much of the language as dashboards use: a parser is a hundred modules.
func namesIn(expression string) (metrics, labels []string) {
	seenMetrics, seenLabels := map[string]bool{}, map[string]bool{}
	cut := func(pattern string, keep func(inner string)) {
		expression = regexp.MustCompile(pattern).ReplaceAllStringFunc(expression, func(found string) string {
			keep(found)
			return " "
		})
	}
	each := func(pattern string, into map[string]bool) func(string) {
		return func(found string) {
			for _, name := range regexp.MustCompile(pattern).FindAllStringSubmatch(found, -1) {
				into[name[1]] = true
			}
		}
	}
	nothing := func(string) {}
	if q := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(expression); q != nil {
		expression, seenLabels[q[2]] = q[1], true
	}
	cut(`"[^"]*"`, nothing)
	cut(`\{[^}]*\}`, each(`(\w+)\s*[=!]`, seenLabels))
	cut(`\[[^\]]*\]`, nothing)
	cut(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`, func(found string) {
		each(`(\w+)`, seenLabels)(found[strings.IndexByte(found, '('):])
	})
	cut(`\b\w+\s*\(`, nothing) // functions
	cut(`\b(or|and|unless|bool|offset)\b`, nothing)
	each(`\b([a-zA-Z_:]\w*)`, seenMetrics)(expression)
	return slices.Sorted(maps.Keys(seenMetrics)), slices.Sorted(maps.Keys(seenLabels))
}

// find collects the texts under some keys, however deep.
func find(value any, keys ...string) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if text, ok := inner.(string); ok && slices.Contains(keys, key) {
				found = append(found, text)
			} else {
				found = append(found, find(inner, keys...)...)
			}
		}
	case []any:
		for _, inner := range value {
			found = append(found, find(inner, keys...)...)
		}
	}
	return found
}
