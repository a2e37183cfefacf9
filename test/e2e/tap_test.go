package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// tapped is a configuration with one route on which everything looks on.
func tapped(upstream string) string { return oneRoute(upstream) + "telemetry: {usage: true}\n" }

// chat is a streamed chat of so many events.
func chat(events int, interval string) request {
	return request{
		method: http.MethodPost, path: "/v1/chat/completions",
		body: strings.NewReader(`{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}`),
		headers: []header{
			{"content-type", "application/json"},
			{"mock-events", strconv.Itoa(events)},
			{"mock-interval", interval},
		},
	}
}

// TestTapDies: the tap, killed in mid-stream, never cuts a client off, and what comes after it is
// counted again.
func TestTapDies(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, tapped(url))
	want := side{url, upstreamKey}.do(t, chat(100, "1ms")).Body
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			got := side{g.url, clientKey}.do(t, chat(100, "20ms"))
			if got.Status != http.StatusOK || got.Body != want || got.Err != "" {
				t.Errorf("a client got %d, %d bytes of %d, and then %q", got.Status, len(got.Body), len(want), got.Err)
			}
		})
	}
	eventually(t, "the streams are under way", func() bool {
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_calls_in_flight{route="/"} 20`)
	})
	if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	eventually(t, "the next call is counted", func() bool {
		side{g.url, clientKey}.do(t, chat(1, "1ms"))
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), `tollgate_requests_total{api="chat",client="alice",model="gpt-4o",route="/",status="2xx"}`)
	})
}

// TestCallsAreCounted: statuses, tokens and cut streams, as the client saw them.
func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, tapped(url))
	through := side{g.url, clientKey}
	through.do(t, chat(10, "1ms"))
	cut := chat(10, "1ms")
	cut.headers = append(cut.headers, header{"mock-break", "mid-body"})
	through.do(t, cut)
	side{g.url, "fk-wrong"}.do(t, chat(10, "1ms"))
	for _, line := range []string{
		`tollgate_requests_total{api="chat",client="alice",model="gpt-4o",route="/",status="2xx"} 2`,
		`tollgate_answers_total{cause="whole",route="/"} 1`,
		`tollgate_answers_total{cause="cut",route="/"} 1`,
		`tollgate_answers_total{cause="refused",route="/"} 1`,
		`tollgate_refusals_total{code="invalid_api_key",route="/"} 1`,
		`tollgate_tokens_total{client="alice",model="gpt-4o",route="/",type="output"}`,
		`tollgate_envoys_connected 1`,
	} {
		eventually(t, "metrics say "+line, func() bool { return strings.Contains(g.get(t, g.admin+"/metrics", nil), line) })
	}
}
