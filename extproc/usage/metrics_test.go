package usage

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// TestMetrics compares the samples of some metrics, without their comments.
func TestMetrics(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, m *Metrics)
		of   []string // metrics
		want string
	}{
		{
			"a stream",
			func(t *testing.T, m *Metrics) { hear(m.Begin(aCall()), aRequest(t), anAnswer(), anEnd()) },
			[]string{
				"tollgate_requests_total", "tollgate_tokens_total", "tollgate_answers_total",
				"tollgate_answer_bytes_total", "tollgate_calls_in_flight", "tollgate_refusals_total",
			},
			`
tollgate_answer_bytes_total{route="/"} 2000
tollgate_answers_total{cause="whole",route="/"} 1
tollgate_calls_in_flight{route="/"} 0
tollgate_requests_total{api="chat",client="alice",model="gpt-4o",route="/",status="2xx"} 1
tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="cached"} 8
tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="input"} 20
tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="output"} 11
tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="reasoning"} 3
`,
		},
		{
			"costs",
			func(t *testing.T, m *Metrics) {
				end := anEnd()
				end.Priced, end.Cost = true, 250_000_000
				for range 2 {
					hear(m.Begin(aCall()), aRequest(t), anAnswer(), end)
				}
				hit := aCall()
				hit.Cache = exchange.CacheHit
				end.Cost, end.Saved = 0, 1_500_000_000
				hear(m.Begin(hit), aRequest(t), anAnswer(), end)
				end.Priced, end.Unpriced, end.Saved = false, true, 0
				hear(m.Begin(aCall()), aRequest(t), anAnswer(), end)
				end.Status = 400 // costs nothing, whatever the price
				hear(m.Begin(aCall()), aRequest(t), anAnswer(), end)
				m.Headroom("/", "alice", "cost", 20_000_000_000, 500_000_000, time.Hour)
			},
			[]string{
				"tollgate_cost_usd_total", "tollgate_cache_cost_saved_usd_total", "tollgate_cost_unknown_total",
				"tollgate_limit", "tollgate_limit_remaining",
			},
			`
tollgate_cache_cost_saved_usd_total{client="alice",model="gpt-4o",route="/"} 1.5
tollgate_cost_unknown_total{client="alice",model="gpt-4o",route="/"} 1
tollgate_cost_usd_total{client="alice",model="gpt-4o",route="/"} 0.5
tollgate_limit{client="alice",of="cost",route="/"} 20
tollgate_limit_remaining{client="alice",of="cost",route="/"} 0.5
`,
		},
		{
			"a call in flight",
			func(_ *testing.T, m *Metrics) { m.Begin(aCall()) },
			[]string{"tollgate_calls_in_flight", "tollgate_requests_total"},
			`
tollgate_calls_in_flight{route="/"} 1
`,
		},
		{
			"ended twice",
			func(_ *testing.T, m *Metrics) {
				meter := m.Begin(aCall())
				meter.Done(nil, anEnd())
				meter.Done(nil, anEnd())
			},
			[]string{"tollgate_calls_in_flight", "tollgate_answers_total"},
			`
tollgate_answers_total{cause="whole",route="/"} 1
tollgate_calls_in_flight{route="/"} 0
`,
		},
		{
			"the tap never came",
			func(_ *testing.T, m *Metrics) {
				m.Begin(aCall()).Done(nil, exchange.End{Cause: exchange.Unseen, Last: after(30)})
			},
			[]string{
				"tollgate_requests_total", "tollgate_answers_total", "gen_ai_client_operation_duration_seconds",
			},
			`
tollgate_answers_total{cause="unseen",route="/"} 1
tollgate_requests_total{api="chat",client="alice",model="none",route="/",status="none"} 1
`,
		},
		{
			"a model that nobody has",
			func(_ *testing.T, m *Metrics) {
				meter := m.Begin(aCall())
				meter.Asked(&openai.Request{API: openai.Chat, Model: "gpt-nonsense"})
				meter.Done(nil, exchange.End{Cause: exchange.Whole, Status: 404, Last: after(1)})
			},
			[]string{"tollgate_requests_total"},
			`
tollgate_requests_total{api="chat",client="alice",model="other",route="/",status="4xx"} 1
`,
		},
		{
			"refusals, of the gate and of Envoy",
			func(_ *testing.T, m *Metrics) {
				m.Refused("/", "invalid_api_key")
				m.Refused("", "not_found")
				m.Begin(aCall()).Done(nil, exchange.End{
					Cause: exchange.Refused, Status: 503, Code: "upstream_unavailable", Last: after(1),
				})
			},
			[]string{"tollgate_refusals_total", "tollgate_answers_total"},
			`
tollgate_answers_total{cause="refused",route="/"} 1
tollgate_refusals_total{code="invalid_api_key",route="/"} 1
tollgate_refusals_total{code="not_found",route="none"} 1
tollgate_refusals_total{code="upstream_unavailable",route="/"} 1
`,
		},
		{
			"not an API that is read",
			func(_ *testing.T, m *Metrics) {
				call := aCall()
				call.Path, call.Client = "/v1/models", ""
				m.Begin(call).Done(nil, anEnd())
			},
			[]string{"tollgate_requests_total", "gen_ai_client_operation_duration_seconds"},
			`
tollgate_requests_total{api="other",client="none",model="none",route="/",status="2xx"} 1
`,
		},
		{
			"tokens below zero, and a clock that went back",
			func(t *testing.T, m *Metrics) {
				answer, end := anAnswer(), anEnd()
				answer.Usage = &openai.Usage{Prompt: -5, Completion: 2}
				end.Last = after(-5)
				hear(m.Begin(aCall()), aRequest(t), answer, end)
			},
			[]string{"tollgate_tokens_total"},
			`
tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="output"} 2
`,
		},
		{
			"configurations",
			func(_ *testing.T, m *Metrics) {
				m.Configured("one")
				m.Configured("two")
				m.ReloadFailed()
			},
			[]string{
				"tollgate_config_info", "tollgate_config_reloads_total", "tollgate_config_last_reload_successful",
				"tollgate_config_last_reload_success_timestamp_seconds", "tollgate_build_info",
			},
			`
tollgate_build_info{version="v1.2.3"} 1
tollgate_config_info{version="two"} 1
tollgate_config_last_reload_success_timestamp_seconds 1.7673552005e+09
tollgate_config_last_reload_successful 0
tollgate_config_reloads_total{result="failure"} 1
tollgate_config_reloads_total{result="success"} 2
`,
		},
		{
			"losses",
			func(_ *testing.T, m *Metrics) {
				m.Skipped("event", 0)
				m.Skipped("body", 3)
				m.Skipped("body", -3)
				m.ChatLogLost("disk", 2)
				m.SpansLost(4)
				m.Envoys(2)
			},
			[]string{
				"tollgate_tap_skipped_total", "tollgate_chatlog_lost_total", "tollgate_spans_lost_total",
				"tollgate_envoys_connected",
			},
			`
tollgate_chatlog_lost_total{reason="disk"} 2
tollgate_envoys_connected 2
tollgate_spans_lost_total 4
tollgate_tap_skipped_total{what="body"} 3
tollgate_tap_skipped_total{what="event"} 0
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := someMetrics()
			c.do(t, m)
			assert.Equal(t, strings.TrimSpace(c.want), samples(t, m, c.of...))
		})
	}
}

// TestHistograms checks sums and counts; TestBuckets the boundaries.
func TestHistograms(t *testing.T) {
	m := someMetrics()
	hear(m.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
	failed := anEnd()
	failed.Status, failed.Cause = 429, exchange.Whole
	hear(m.Begin(aCall()), aRequest(t), nil, failed)
	const genAI = `gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",`
	got := scrape(t, m)
	for _, want := range []string{
		`gen_ai_client_operation_duration_seconds_sum{error_type="",` + genAI + `route="/"} 1.5`,
		`gen_ai_client_operation_duration_seconds_sum{error_type="429",` + genAI + `route="/"} 1.5`,
		`gen_ai_client_token_usage_sum{` + genAI + `gen_ai_token_type="input",route="/"} 20`,
		`gen_ai_client_token_usage_count{` + genAI + `gen_ai_token_type="output",route="/"} 1`,
		`gen_ai_server_time_to_first_token_seconds_sum{` + genAI + `route="/"} 1`,
		`gen_ai_server_time_to_first_token_seconds_count{` + genAI + `route="/"} 2`,
		`gen_ai_server_time_per_output_token_seconds_sum{` + genAI + `route="/"} 0.1`,
		`gen_ai_server_time_per_output_token_seconds_count{` + genAI + `route="/"} 1`,
		`tollgate_stream_duration_seconds_sum{route="/"} 2.5`,
	} {
		assert.Contains(t, got, want+"\n")
	}
}

func TestBuckets(t *testing.T) {
	assert.InDelta(t, 81.92, durationBuckets()[13], 1e-9)
	assert.InDelta(t, 67108864, tokenBuckets()[13], 1e-9)
	assert.Len(t, firstTokenBuckets(), 16)
	assert.Len(t, perTokenBuckets(), 13)
}

// TestNoErrorText has an upstream quote the key that it refused.
func TestNoErrorText(t *testing.T) {
	m := someMetrics()
	answer := &openai.Answer{Error: json.RawMessage(
		`{"type": "` + sentinel + `", "code": "` + sentinel + `", "message": "Incorrect: ` + sentinel + `"}`)}
	hear(m.Begin(aCall()), aRequest(t), answer, anEnd())
	got := scrape(t, m)
	assert.NotContains(t, got, sentinel)
	assert.Contains(t, got, `error_type="_OTHER"`)
}

func TestRegister(t *testing.T) {
	m := someMetrics()
	require.NoError(t, m.Register(gauge("tollgate_cache_bytes", "Of another part.")))
	assert.Contains(t, scrape(t, m), "tollgate_cache_bytes 0\n")
	assert.Error(t, m.Register(gauge("tollgate_cache_bytes", "Again.")))
}

// TestLint asks Prometheus's own linter about names and help.
func TestLint(t *testing.T) {
	m := someMetrics()
	everything(t, m)
	problems, err := testutil.GatherAndLint(m.registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// everything makes each metric have a value.
func everything(t *testing.T, m *Metrics) {
	t.Helper()
	hear(m.Begin(aCall()), aRequest(t), anAnswer(), anEnd())
	m.Refused("/", "invalid_api_key")
	m.Shadowed("/")
	m.Cached("/", exchange.CacheHit, 100, openai.Usage{Prompt: 1, Completion: 2}, time.Second)
	m.Settled("/", 100, 50)
	m.Headroom("/", "alice", "requests", 60, 59, time.Minute)
	m.Skipped("event", 1)
	m.ChatLogLost("disk", 1)
	m.Configured("one")
}

// samples are those of some metrics in the text format, without histograms' parts.
func samples(t *testing.T, m *Metrics, names ...string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(scrape(t, m)) {
		for _, name := range names {
			if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ' || rest[0] == '_') {
				lines = append(lines, line)
				break
			}
		}
	}
	return strings.TrimSpace(strings.Join(lines, ""))
}

// scrape asks as Prometheus does.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	response, err := server.Client().Do(newRequest(t, server.URL+"/metrics"))
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	return string(body)
}

func newRequest(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return r
}
