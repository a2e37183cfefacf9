package e2e

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestManyStreams: what streams that are open at once cost both processes, each with a chat log, a limit of tokens
// and metrics, and that nothing of it stays when they have ended. `make abuse` has 10,000 of them.
func TestManyStreams(t *testing.T) {
	streams := 500
	if fully() {
		streams = 10_000
	}
	url, ca, upstream := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}}, "h2") // which spares connections
	g := launch(t, strings.Replace(tlsRoute(url, ca, ""), "{prefix: /,", "{prefix: /, max_in_flight: 20000, limits: [{tokens: 1000000000/hour}], ", 1)+
		"chat_log: {}\ntelemetry: {usage: true}\n")
	alice := side{g.url, clientKey}
	alice.do(t, chat(10, "1ms"))
	before := g.costs(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	client := newClient(t)
	var open, opening sync.WaitGroup
	began := time.Now()
	slots := make(chan struct{}, 100) // so many connect at once
	for range streams {
		opening.Add(1)
		open.Go(func() {
			slots <- struct{}{}
			out, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/v1/chat/completions", strings.NewReader(chatStream))
			if err != nil {
				panic(err)
			}
			out.Header = http.Header{"Authorization": {"Bearer " + clientKey}, "Mock-Events": {"1000"}, "Mock-Interval": {"10s"}}
			response, err := client.Do(out)
			<-slots
			if err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("a stream did not begin: %v, %v", response, err)
				opening.Done()
				return
			}
			defer func() { _ = response.Body.Close() }()
			piece := make([]byte, 4096)
			_, err = response.Body.Read(piece)
			opening.Done()
			for err == nil {
				_, err = response.Body.Read(piece)
			}
			if ctx.Err() == nil {
				t.Errorf("a stream broke: %v", err)
			}
		})
	}
	opening.Wait()
	t.Logf("%d streams were open after %s", streams, time.Since(began))
	during := g.costs(t)
	perStream := func(kib int) float64 { return float64(kib) / float64(streams) }
	envoy, serve := perStream(during.envoy-before.envoy), perStream(during.serve-before.serve)
	t.Logf("KiB of Envoy and serve before %d and %d, during %d and %d: %.1f and %.1f a stream; goroutines of serve %d and %d",
		before.envoy, before.serve, during.envoy, during.serve, envoy, serve, before.goroutines, during.goroutines)
	if envoy > 150 || serve > 100 {
		t.Errorf("a stream costs Envoy %.1f KiB and serve %.1f KiB", envoy, serve)
	}
	leave()
	open.Wait()
	eventually(t, "the upstream is left", func() bool { return upstream.Busy() == 0 })
	eventually(t, "no goroutine is left", func() bool { return g.costs(t).goroutines <= before.goroutines+20 })
}

// costs is what both processes hold, in KiB.
type costs struct{ envoy, serve, goroutines int }

func (g *gateway) costs(t *testing.T) costs {
	t.Helper()
	c := costs{envoy: g.memoryKiB(t, "envoy"), serve: g.memoryKiB(t, "serve")}
	for line := range strings.Lines(g.get(t, g.admin+"/metrics", nil)) {
		if value, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			c.goroutines, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	if c.goroutines == 0 {
		t.Fatal("the metrics do not tell goroutines")
	}
	return c
}
