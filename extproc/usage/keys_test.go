package usage

import (
	"strings"
	"testing"

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
