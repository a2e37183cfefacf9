package extproc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/config"
	"tollgate/extproc/auth"
)

// newTestChoice is a choice of upstreams that are called by letters, with their weights and base paths.
func newTestChoice(weights map[string]uint32, letters string) *choice {
	c := &config.Choice{}
	rings := map[*config.Upstream]*auth.Keys{}
	for _, letter := range letters {
		u := &config.Upstream{Name: string(letter), Keys: []config.Secret{config.NewSecret(string(letter))}, Host: string(letter), Port: 443, TLS: true}
		c.Targets = append(c.Targets, config.Target{Upstream: u, Weight: weights[u.Name]})
		rings[u] = auth.NewKeys(u.Keys)
	}
	return newChoice(c, rings)
}

// TestBegin: requests begin by weights, exactly and evenly, at targets that have a key that does not rest.
func TestBegin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		weights map[string]uint32
		resting string // how long each rests: a letter, and so many seconds
		want    string
	}{
		"in order":               {weights: map[string]uint32{"a": 1}, want: "aaaaaaaa"},
		"evenly":                 {weights: map[string]uint32{"a": 1, "b": 1, "c": 1}, want: "abcabcab"},
		"by weight":              {weights: map[string]uint32{"a": 5, "b": 1, "c": 1}, want: "aabacaaa"},
		"the first rests":        {weights: map[string]uint32{"a": 1}, resting: "a", want: "bbbbbbbb"},
		"two rest":               {weights: map[string]uint32{"a": 1}, resting: "ab", want: "cccccccc"},
		"all rest":               {weights: map[string]uint32{"a": 1}, resting: "abc", want: "aaaaaaaa"},
		"one with a weight":      {weights: map[string]uint32{"a": 2, "b": 1}, resting: "a", want: "bbbbbbbb"},
		"all with a weight":      {weights: map[string]uint32{"a": 2, "b": 1}, resting: "ab", want: "cccccccc"},
		"all, by weight as ever": {weights: map[string]uint32{"a": 2, "b": 1}, resting: "abc", want: "abaabaab"},
	} {
		now := time.Now()
		c := newTestChoice(test.weights, "abc")
		for i, letter := range "abc" {
			if strings.ContainsRune(test.resting, letter) {
				c.keys[i].Rest(config.NewSecret(string(letter)).Fingerprint(), now, auth.Rest{For: time.Minute})
			}
		}
		var got strings.Builder
		for range 8 {
			got.WriteString(c.Targets[c.begin(now)].Name)
		}
		if got.String() != test.want {
			t.Errorf("%s: they begin at %s, want %s", name, got.String(), test.want)
		}
	}
}

// TestDrawIsExact: of as many draws as the weights come to, each has its weight, whenever one counts.
func TestDrawIsExact(t *testing.T) {
	t.Parallel()
	weights := map[string]uint32{"a": 7, "b": 3, "c": 1}
	c := newTestChoice(weights, "abc")
	var drawn []string
	for range 110 {
		at, ok := c.draw(func(int) bool { return true })
		if !ok {
			t.Fatal("nobody was drawn")
		}
		drawn = append(drawn, c.Targets[at].Name)
	}
	for from := range 99 {
		got := map[string]uint32{}
		for _, name := range drawn[from : from+11] {
			got[name]++
		}
		if diff := cmp.Diff(weights, got); diff != "" {
			t.Fatalf("of the 11 from %d on (-want +got):\n%s", from, diff)
		}
	}
	if _, ok := c.draw(func(int) bool { return false }); ok {
		t.Error("one was drawn who was not eligible")
	}
}

// TestAddress: an upstream's host and base path take the place of those of the one before.
func TestAddress(t *testing.T) {
	t.Parallel()
	c := newTestChoice(nil, "abc")
	c.Targets[0].BasePath, c.Targets[1].BasePath = "/api/v2", "/b"
	for _, test := range []struct{ to, before, path, want string }{
		{"a", "", "/v1/chat", "/api/v2/v1/chat"},
		{"b", "a", "/api/v2/v1/chat?x=/api/v2", "/b/v1/chat?x=/api/v2"},
		{"c", "b", "/b/v1/chat", "/v1/chat"},
		{"a", "a", "/api/v2/v1/chat", "/api/v2/v1/chat"},
		{"a", "", "/", "/api/v2"},
		{"c", "a", "/api/v2", "/"},
		{"c", "a", "/api/v2?q", "/?q"},
		{"b", "c", "/?", "/b?"},
	} {
		a := &attempt{choice: c, upstream: c.Targets[c.target(test.to)].Upstream}
		got := a.address(test.path, test.before)
		if got[0].Value != test.to || got[1].Value != test.want {
			t.Errorf("%s at %s after %q: %v, want %s", test.path, test.to, test.before, got, test.want)
		}
	}
}

// TestLedBy: whatever Envoy says, an attempt has a choice of its route.
func TestLedBy(t *testing.T) {
	t.Parallel()
	r := &route{choices: []*choice{newTestChoice(nil, "a"), newTestChoice(nil, "b")}}
	for lead, want := range map[string]int{"": 1, "0.0": 0, "0.7": 0, "1.0": 1, "2.0": 1, "-1.0": 1, "x": 1} {
		if r.ledBy(lead) != r.choices[want] {
			t.Errorf("%q leads elsewhere than to %d", lead, want)
		}
	}
}
