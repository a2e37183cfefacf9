package usage

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/openai"
)

// TestCardinality calls with more models, clients, routes and codes than labels are kept for.
func TestCardinality(t *testing.T) {
	m := someMetrics()
	for i := range 3 * maxValues {
		call := aCall()
		call.Client = fmt.Sprintf("client-%d", i)
		meter := m.Begin(call)
		meter.Asked(&openai.Request{API: openai.Chat, Model: fmt.Sprintf("model-%d", i)})
		meter.Done(anAnswer(), anEnd())
		m.Refused(fmt.Sprintf("/route-%d", i), fmt.Sprintf("code_%d", i))
	}
	assert.Equal(t, maxValues+1, testutil.CollectAndCount(m.calls.requests))
	// The route of the calls took one of the 200 that there are for routes.
	assert.Equal(t, maxValues+1, testutil.CollectAndCount(m.calls.refusals))
	rest := testutil.ToFloat64(m.calls.requests.WithLabelValues("/", other, other, "chat", "2xx"))
	assert.InDelta(t, 2*maxValues, rest, 0)
}

// TestSetsOfLabels multiplies values that are each within the limit.
func TestSetsOfLabels(t *testing.T) {
	m := someMetrics()
	for i := range maxValues {
		for j := range 20 {
			call := aCall()
			call.Client = fmt.Sprintf("client-%d", i)
			meter := m.Begin(call)
			meter.Asked(&openai.Request{API: openai.Chat, Model: fmt.Sprintf("model-%d", j)})
			meter.Done(nil, anEnd())
		}
	}
	assert.Equal(t, maxSets+1, testutil.CollectAndCount(m.calls.requests))
	total := 0
	for line := range strings.Lines(samples(t, m, "tollgate_requests_total")) {
		var n int
		_, err := fmt.Sscan(line[strings.LastIndexByte(line, ' '):], &n)
		require.NoError(t, err)
		total += n
	}
	assert.Equal(t, 20*maxValues, total, "every call is counted, under whatever label")
}

// TestStrangeValues are names that Prometheus would not take, or nobody could read.
func TestStrangeValues(t *testing.T) {
	m := someMetrics()
	for _, model := range []string{"\xff\xfe", strings.Repeat("x", 1<<20), "a\"b\nc"} {
		meter := m.Begin(aCall())
		meter.Asked(&openai.Request{API: openai.Chat, Model: model})
		meter.Done(nil, anEnd())
	}
	m.Configured("\xff")
	m.Skipped("\xff", 1)
	assert.Equal(t, strings.TrimSpace(`
tollgate_requests_total{api="chat",client="alice",model="a\"b\nc",route="/",status="2xx"} 1
tollgate_requests_total{api="chat",client="alice",model="other",route="/",status="2xx"} 2
`), samples(t, m, "tollgate_requests_total"))
}

func TestConcurrent(t *testing.T) {
	const calls = 1000
	m := NewMetrics("v1")
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			call := aCall()
			call.Client = fmt.Sprintf("client-%d", i%7)
			hear(m.Begin(call), aRequest(t), anAnswer(), anEnd())
			m.Refused("/", "invalid_api_key")
			m.Configured(strconv.Itoa(i))
			if i%100 == 0 {
				scrape(t, m)
			}
		})
	}
	all.Wait()
	got := scrape(t, m)
	assert.Contains(t, got, "tollgate_calls_in_flight{route=\"/\"} 0\n")
	assert.Contains(t, got, "tollgate_answers_total{cause=\"whole\",route=\"/\"} 1000\n")
	assert.Contains(t, got, "tollgate_refusals_total{code=\"invalid_api_key\",route=\"/\"} 1000\n")
	assert.Equal(t, 1, testutil.CollectAndCount(m.process.config), "one version at a time")
}
