package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// What is left is as the last request left it, until the limit is whole again.
func TestHeadroom(t *testing.T) {
	m := NewMetrics("test")
	now := time.Unix(1_000_000, 0)
	m.headrooms.now = func() time.Time { return now }
	m.Headroom("/", "alice", "requests", 60, 7, time.Minute)
	m.Headroom("/", "alice", "requests", 60, 6, time.Minute)
	expect := func(left string) {
		t.Helper()
		want := `
# HELP tollgate_limit_remaining What is left of it.
# TYPE tollgate_limit_remaining gauge
tollgate_limit_remaining{client="alice",of="requests",route="/"} ` + left + "\n"
		require.NoError(t, testutil.GatherAndCompare(m.registry, strings.NewReader(want), "tollgate_limit_remaining"))
	}
	expect("6")
	now = now.Add(time.Minute)
	expect("60")
}
