package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// No secret shows in what operators read, whichever way it came in and wherever it is written again.
func TestMasked(t *testing.T) {
	t.Parallel()
	const yaml = `
admin: {token: "${TOKEN}"}
clients: [{name: alice, keys: [sk-sentinel-client, "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]}]
upstreams: [{name: openai, url: https://api.openai.com, keys: ["${KEY}"], rename: [{model: a, to: "x ${KEY} y"}]}]
routes: [{prefix: /, upstream: openai}]
limit_store: {redis: "redis://:sk-sentinel-redis@127.0.0.1"}
cache_store: {redis: "redis://:sk-sentinel-cache@127.0.0.1"}
`
	variables := environmentOf(map[string]string{"TOKEN": "sk-sentinel-token-0123", "KEY": "sk-sentinel-upstream"})
	c, err := Parse("tollgate.yaml", []byte(yaml), variables)
	require.NoError(t, err)
	text := c.Text()
	require.NotContains(t, text, "sentinel")
	require.Contains(t, text, "url: https://api.openai.com")
	require.Contains(t, text, "sha256:2c26b46b")
	require.Equal(t, 6, strings.Count(text, "[secret "), text)
	require.Contains(t, text, "[secret "+NewSecret("sk-sentinel-upstream").Fingerprint()+"]")
}

// A configuration that nobody would read to its end is not written.
func TestTooLargeToShow(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("x", 1<<20)
	message := &tollgatev1.Config{Routes: slices.Repeat([]*tollgatev1.Route{{Prefix: name}}, 9)}
	require.Equal(t, "# The configuration is too large to be shown here: 9 MB.\n", masked(message, &Config{})())
}
