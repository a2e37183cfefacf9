package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	require.NotContains(t, c.Text, "sentinel")
	require.Contains(t, c.Text, "url: https://api.openai.com")
	require.Contains(t, c.Text, "sha256:2c26b46b")
	require.Equal(t, 6, strings.Count(c.Text, "[secret "), c.Text)
	require.Contains(t, c.Text, "[secret "+NewSecret("sk-sentinel-upstream").Fingerprint()+"]")
}
