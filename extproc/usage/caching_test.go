package usage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// TestCached: what the upstream was not asked for is counted as spared, and as nothing else.
func TestCached(t *testing.T) {
	m := someMetrics()
	spent := openai.Usage{Prompt: 10, Completion: 20, Total: 30}
	m.Cached("/", exchange.CacheMiss, 100, spent, time.Second)
	m.Cached("/", exchange.CacheHit, 100, spent, time.Second)
	m.Cached("/", exchange.CacheCollapsed, 100, spent, time.Second)
	meter := m.Begin(&exchange.Call{Route: "/", Path: "/v1/chat/completions", Cache: exchange.CacheHit})
	meter.Done(&openai.Answer{Model: "gpt-4o", Usage: &spent}, exchange.End{Cause: exchange.Whole, Status: 200})
	text := scrape(t, m)
	for _, line := range []string{
		`tollgate_cache_requests_total{result="hit",route="/"} 1`,
		`tollgate_cache_requests_total{result="miss",route="/"} 1`,
		`tollgate_cache_answer_bytes_total{route="/"} 200`,
		`tollgate_cache_tokens_saved_total{route="/",type="input"} 20`,
		`tollgate_cache_tokens_saved_total{route="/",type="output"} 40`,
		`tollgate_cache_upstream_seconds_saved_total{route="/"} 2`,
	} {
		assert.Contains(t, text, line+"\n")
	}
	assert.NotContains(t, text, "tollgate_tokens_total{", "tokens from the cache count as paid for")
}
