package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestPace: a stream's events go out at the route's pace, however fast they come, byte for byte; plain
// answers and other paths do not wait.
func TestPace(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{})
	g := newGateway(t)
	g.write(t, ".env", "OPENAI_BASE_URL="+url+"\n"+`TOKEN_RATE_LIMIT={"/v1/chat/completions": "60/second", "/v1/completions": "1/hour"}`+"\n")
	g.args = []string{"run", "--port", g.port(), "--admin", strings.TrimPrefix(g.admin, "http://")}
	g.start(t)
	direct, through := side{url, "sk-any"}, side{g.url, "sk-any"}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := through.send(ctx, t, chat(120, "0s"))
	var body strings.Builder
	var gaps []time.Duration
	began, last := time.Now(), time.Time{}
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		body.WriteString(line)
		if err != nil {
			break
		}
		if !strings.HasPrefix(line, "data:") {
			continue
		}
		if now := time.Now(); !last.IsZero() {
			gaps = append(gaps, now.Sub(last))
		}
		last = time.Now()
	}
	if want := direct.do(t, chat(120, "0s")).Body; body.String() != want {
		t.Errorf("the stream changed on its way:\n%s\nnot\n%s", body.String(), want)
	}
	interval := time.Second / 60
	if took, least := time.Since(began), time.Duration(len(gaps))*interval-10*time.Millisecond; took < least {
		t.Errorf("%d events at 60/second took %s, less than %s", len(gaps)+1, took, least)
	}
	slices.Sort(gaps)
	t.Logf("%d gaps of %s: least %s, median %s, p99 %s", len(gaps), interval, gaps[0], gaps[len(gaps)/2], gaps[len(gaps)*99/100])

	plain := post("/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"hello"}`)
	if got := through.do(t, plain); got.Status != http.StatusOK { // an hour would not be waited for
		t.Errorf("a plain answer: %d %s", got.Status, got.Body)
	}
}

// TestPaceHoldsTheUpstream: of an upstream that would send a gigabyte to a client that gets an event a
// second, only what buffers hold is taken, and nobody's memory grows.
func TestPaceHoldsTheUpstream(t *testing.T) {
	t.Parallel()
	event := []byte("data: " + strings.Repeat("x", 10_000) + "\n\n")
	var sent atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 100_000 {
			n, err := w.Write(event)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(upstream.Close)
	g := launch(t, oneRoute(upstream.URL)+"pace: [{events: 1/second}]\n")
	before := [2]int{g.memory(t, "serve"), g.memory(t, "envoy")}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	response := side{g.url, clientKey}.send(ctx, t, chat(1, "0s"))
	events := bufio.NewReader(response.Body)
	for range 2 * 3 { // an event and a blank line each: two seconds, in which a gigabyte could come
		if _, err := events.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	was := sent.Load()
	t.Logf("after three events the upstream has sent %d KiB; MiB of serve and Envoy: %v, then [%d %d]", was>>10, before, g.memory(t, "serve"), g.memory(t, "envoy"))
	if was > 64<<20 {
		t.Errorf("%d bytes were taken from the upstream", was)
	}
	leave()
	upstream.CloseClientConnections()
}

// TestExactUsage: the upstream is asked for the usage of a stream whose client does not ask, the event
// that tells it is taken out, no other byte is changed, and exactly what it says is settled.
func TestExactUsage(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, limited(url, "routes: [{prefix: /, upstream: openai, usage: exact, limits: [{tokens: 100000/hour}]}]\n"))
	alice, direct := side{g.url, clientKey}, side{url, upstreamKey}
	ask := func(options string) request {
		return post("/v1/chat/completions", `{"model":"gpt-4o", "max_tokens":50, "stream" : true,`+options+` "messages":[{"role":"user","content":"one two three"}]}`)
	}
	const asked = `"stream_options":{"include_usage":true},`
	told := direct.do(t, ask(asked)).Body
	events := strings.SplitAfter(told, "\n\n")
	extra := slices.IndexFunc(events, func(event string) bool { return strings.Contains(event, `"total_tokens"`) })
	var usage struct {
		Usage struct {
			Total int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(events[extra], "data: ")), &usage); err != nil {
		t.Fatal(err)
	}
	want := strings.Join(slices.Delete(slices.Clone(events), extra, extra+1), "")

	left := -1 // of the tokens, before the request's own reservation is given back
	for i, options := range []string{"", `"stream_options":null,`, `"stream_options":{"include_usage":false},`, asked, ""} {
		got := alice.do(t, ask(options))
		if options == asked && got.Body != told || options != asked && got.Body != want {
			t.Errorf("with %q the client got\n%s", options, got.Body)
		}
		now, err := strconv.Atoi(got.Header.Get("X-Ratelimit-Remaining-Tokens"))
		if err != nil {
			t.Fatal(err)
		}
		if left >= 0 && left-now != usage.Usage.Total {
			t.Errorf("a call took %d tokens, and the upstream told %d", left-now, usage.Usage.Total)
		}
		left = now
		g.settled(t, (i+1)*usage.Usage.Total)
	}
}

// settled waits until calls that took so many tokens in all are settled.
func (g *gateway) settled(t *testing.T, tokens int) {
	t.Helper()
	line := fmt.Sprintf("tollgate_limit_tokens_total{route=\"/\",what=\"used\"} %d\n", tokens)
	eventually(t, fmt.Sprint(tokens, " tokens are settled"), func() bool {
		return strings.Contains(g.get(t, g.admin+"/metrics", nil), line)
	})
}
