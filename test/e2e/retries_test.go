package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// failing is a streamed chat on which the mock does as ordered, the first so many times.
func failing(times int, orders ...header) request {
	r := chat(10, "1ms")
	r.headers = append(append(r.headers, orders...), header{"mock-times", fmt.Sprintf("tries %d", times)})
	return r
}

// requestsOf counts the chats that a mock saw.
func requestsOf(upstream *mock.Server) int {
	n := 0
	for _, r := range upstream.Requests() {
		if r.Method == http.MethodPost {
			n++
		}
	}
	return n
}

// TestRetries: what fails before the answer begins is tried again, three times in all; what fails later,
// or is no passing trouble, is not.
func TestRetries(t *testing.T) {
	t.Parallel()
	reset, status := header{"mock-break", "reset"}, func(code string) header { return header{"mock-status", code} }
	for name, test := range map[string]struct {
		yaml   string // of the route, beside the usual
		send   request
		status int
		tries  int
		cut    bool
	}{
		"503 once":               {send: failing(1, status("503")), status: 200, tries: 2},
		"502 twice":              {send: failing(2, status("502")), status: 200, tries: 3},
		"504 for good":           {send: failing(9, status("504")), status: 504, tries: 3},
		"reset twice":            {send: failing(2, reset), status: 200, tries: 3},
		"reset for good":         {send: failing(9, reset), status: 503, tries: 3},
		"no HTTP twice":          {send: failing(2, header{"mock-garble", "not-http"}), status: 200, tries: 3},
		"no HTTP for good":       {send: failing(9, header{"mock-garble", "not-http"}), status: 503, tries: 3},
		"a chunk of no length":   {send: failing(1, header{"mock-garble", "chunk"}), status: 200, tries: 1, cut: true},
		"shorter than it says":   {send: failing(1, header{"mock-garble", "too-long"}), status: 200, tries: 1, cut: true},
		"500 is no passing one":  {send: failing(1, status("500")), status: 500, tries: 1},
		"429 with one key":       {send: failing(1, status("429")), status: 429, tries: 1},
		"400":                    {send: failing(1, status("400")), status: 400, tries: 1},
		"cut after the headers":  {send: failing(1, header{"mock-break", "after-headers"}), status: 200, tries: 1, cut: true},
		"cut after some bytes":   {send: failing(1, header{"mock-break", "mid-event"}), status: 200, tries: 1, cut: true},
		"no retries":             {yaml: "retry: {attempts: 1}", send: failing(1, status("503")), status: 503, tries: 1},
		"no retries after reset": {yaml: "retry: {attempts: 1}", send: failing(1, reset), status: 503, tries: 1},
		"more attempts":          {yaml: "retry: {attempts: 4}", send: failing(3, reset), status: 200, tries: 4},
		"other statuses":         {yaml: "retry: {statuses: [529]}", send: failing(1, status("529")), status: 200, tries: 2},
		"no longer the usual":    {yaml: "retry: {statuses: [529]}", send: failing(1, status("503")), status: 503, tries: 1},
		"slow to begin":          {yaml: "retry: {first_byte_timeout: 300ms}", send: failing(1, header{"mock-delay", "1m"}), status: 200, tries: 2},
		"never begins":           {yaml: "retry: {first_byte_timeout: 300ms}", send: failing(9, header{"mock-delay", "1m"}), status: 504, tries: 3},
		"stands still":           {yaml: "retry: {idle_timeout: 300ms}", send: failing(1, header{"mock-stall", "1m"}), status: 200, tries: 1, cut: true},
		"client's wishes":        {send: failing(9, status("500"), header{"x-envoy-retry-on", "5xx"}, header{"x-envoy-max-retries", "9"}), status: 500, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
			g := launch(t, strings.Replace(oneRoute(url), "upstream: openai}", "upstream: openai, "+test.yaml+"}", 1))
			got := side{g.url, clientKey}.do(t, test.send)
			if got.Status != test.status || (got.Err != "") != test.cut {
				t.Errorf("the client got %d %q, and then %q", got.Status, got.Body, got.Err)
			}
			if n := requestsOf(upstream); n != test.tries {
				t.Errorf("the upstream was asked %d times, want %d", n, test.tries)
			}
			if got.Status == http.StatusOK && !test.cut && !strings.HasSuffix(got.Body, "data: [DONE]\n\n") {
				t.Errorf("the answer is not whole: %q", got.Body)
			}
		})
	}
}

// TestRetryAfter: what an upstream says of when to come back is waited for, within a bound.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	through := side{start(t, oneRoute(url)), clientKey}
	began := time.Now()
	got := through.do(t, failing(1, header{"mock-status", "503"}, header{"mock-header", "retry-after: 2"}))
	if took := time.Since(began); got.Status != http.StatusOK || took < 2*time.Second {
		t.Errorf("got %d after %s, and the upstream had asked for 2 s", got.Status, took)
	}
	if n := requestsOf(upstream); n != 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestRetriedBodies: a body is sent again whole; one that is too large to be kept is sent once.
func TestRetriedBodies(t *testing.T) {
	t.Parallel()
	const exact = "usage: exact"
	for name, yaml := range map[string]string{"past the gate": "", "through the gate": exact} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
			through := side{start(t, strings.Replace(oneRoute(url), "upstream: openai}", "upstream: openai, "+yaml+"}", 1)), clientKey}
			for _, size := range []int{900 << 10, 3 << 20} {
				before := len(upstream.Requests())
				text := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%s"}]}`, strings.Repeat("a", size))
				got := through.do(t, request{
					method: http.MethodPost, path: "/v1/chat/completions", body: io.MultiReader(strings.NewReader(text)), length: int64(len(text)),
					headers: []header{{"mock-status", "503"}, {"mock-times", fmt.Sprintf("size%d 1", size)}},
				})
				seen := upstream.Requests()[before:]
				if size > 1<<20 {
					if got.Status != http.StatusServiceUnavailable || len(seen) != 1 {
						t.Errorf("of %d bytes: %d after %d tries, want 503 after one", size, got.Status, len(seen))
					}
					continue
				}
				if got.Status != http.StatusOK || len(seen) != 2 || seen[0].BodySHA256 != seen[1].BodySHA256 || seen[1].BodyLength != int64(len(text)) {
					t.Errorf("of %d bytes: %d after %d tries: %+v", size, got.Status, len(seen), seen)
				}
			}
		})
	}
}

// TestRetriesCountOnce: one request is one for limits, metrics and whoever looks on, however often it is tried.
func TestRetriesCountOnce(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, strings.Replace(tapped(url), "upstream: openai}", "upstream: openai, limits: [{requests: 2/hour}]}", 1))
	through := side{g.url, clientKey}
	for i, want := range []int{200, 200, 429} {
		if got := through.do(t, failing(2, header{"mock-status", "503"})); got.Status != want {
			t.Errorf("request %d: got %d, want %d", i+1, got.Status, want)
		}
	}
	if n := requestsOf(upstream); n != 4 {
		t.Errorf("the upstream was asked %d times, want 4", n)
	}
	for _, line := range []string{
		`tollgate_requests_total{api="chat",client="alice",model="gpt-4o",route="/",status="2xx"} 2`,
		`tollgate_answers_total{cause="whole",route="/"} 2`,
	} {
		eventually(t, "metrics say "+line, func() bool { return strings.Contains(g.get(t, g.admin+"/metrics", nil), line) })
	}
}
