package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
)

// TestUpstreamKeys: what an upstream says of a key is counted by the key's fingerprint, and what the
// gate itself refused is not.
func TestUpstreamKeys(t *testing.T) {
	t.Parallel()
	m := NewMetrics("test")
	for _, end := range []exchange.End{
		{Cause: exchange.Whole, Status: 200},
		{Cause: exchange.Cut, Status: 200},
		{Cause: exchange.Whole, Status: 429},
		{Cause: exchange.Whole, Status: 401},
		{Cause: exchange.Whole, Status: 404},
		{Cause: exchange.Refused, Status: 401},
		{Cause: exchange.Unseen},
	} {
		m.Begin(aCall()).Done(nil, end)
	}
	want := `
# HELP tollgate_upstream_key_answers_total Answers by the upstream's key, named by its fingerprint, and what tells of its health: 401, 403, 429, or a class such as 2xx.
# TYPE tollgate_upstream_key_answers_total counter
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="2xx",upstream="openai"} 2
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="401",upstream="openai"} 1
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="429",upstream="openai"} 1
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="4xx",upstream="openai"} 1
`
	require.NoError(t, testutil.CollectAndCompare(m.calls.keys, strings.NewReader(want)))
}

// TestUpstreamKeysByAttempt: where each attempt's key is told of by itself, the call counts neither what
// was told already nor a key that was not answered.
func TestUpstreamKeysByAttempt(t *testing.T) {
	t.Parallel()
	m := NewMetrics("test")
	call := aCall()
	call.Attempts = true
	m.KeyAnswered("openai", "0a1b2c3d", 429)
	m.Begin(call).Done(nil, exchange.End{Cause: exchange.Whole, Status: 429, Key: "0a1b2c3d"})
	m.KeyAnswered("openai", "0a1b2c3d", 401)
	m.Begin(call).Done(nil, exchange.End{Cause: exchange.Whole, Status: 200, Key: "4e5f6071"})
	want := `
# HELP tollgate_upstream_key_answers_total Answers by the upstream's key, named by its fingerprint, and what tells of its health: 401, 403, 429, or a class such as 2xx.
# TYPE tollgate_upstream_key_answers_total counter
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="401",upstream="openai"} 1
tollgate_upstream_key_answers_total{key="0a1b2c3d",status="429",upstream="openai"} 1
tollgate_upstream_key_answers_total{key="4e5f6071",status="2xx",upstream="openai"} 1
`
	require.NoError(t, testutil.CollectAndCompare(m.calls.keys, strings.NewReader(want)))
}

// TestKeyRests: how long keys rest is read when the metrics are.
func TestKeyRests(t *testing.T) {
	t.Parallel()
	rest := 90 * time.Second
	rests := KeyRests(func(yield func(string, string, time.Duration)) { yield("openai", "0a1b2c3d", rest) })
	for _, want := range []string{"90", "0"} {
		require.NoError(t, testutil.CollectAndCompare(rests, strings.NewReader(`
# HELP tollgate_upstream_key_rest_seconds How long an upstream's key, named by its fingerprint, still rests because the upstream turned it down; 0: it does not.
# TYPE tollgate_upstream_key_rest_seconds gauge
tollgate_upstream_key_rest_seconds{key="0a1b2c3d",upstream="openai"} `+want+"\n")))
		rest = 0
	}
}
