package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestOverload: where what clients do not read would take more memory than Envoy may have, new requests are refused
// at once and those clients are cut, so that soon others are answered again, although none of them has left. The
// answers are from the cache, which Envoy takes from Tollgate as fast as it can.
func TestOverload(t *testing.T) {
	if !fully() {
		t.Skip("it fills Envoy's memory, beside which other tests would wait too long: make abuse runs it")
	}
	t.Parallel()
	const (
		heap    = 64 << 20
		readers = 40
	)
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "tollgate.yaml", g.addresses+oneRoute(url)+"cache: {}\ncache_store: {max_entry_bytes: 16777216}\n")
	g.args = []string{"run", "--max-heap", "67108864"}
	g.start(t)
	alice := side{g.url, clientKey}
	large := func() request { return post("/v1/chat/completions", chatStream, header{"mock-events", "60000"}) }
	whole := alice.do(t, large())
	alice.hit(t, large)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	client := newClient(t)
	ask := func(ctx context.Context) (*http.Response, error) {
		out, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/v1/chat/completions", large().body)
		if err != nil {
			t.Fatal(err)
		}
		out.Header = http.Header{"Authorization": {"Bearer " + clientKey}, "Mock-Events": {"60000"}}
		return client.Do(out)
	}
	eventually(t, "new requests are refused", func() bool {
		refusals := make(chan seen, readers)
		var asking sync.WaitGroup
		for range readers { // at once, and each reads no more than the head
			asking.Go(func() {
				response, err := ask(ctx)
				if err != nil {
					return // it was among those that held most
				}
				if response.StatusCode == http.StatusOK {
					t.Cleanup(func() { _ = response.Body.Close() })
					return
				}
				defer func() { _ = response.Body.Close() }()
				if body, err := io.ReadAll(response.Body); err == nil {
					refusals <- seen{Status: response.StatusCode, Header: response.Header, Body: string(body)}
				}
			})
		}
		asking.Wait()
		close(refusals)
		refused := len(refusals)
		for got := range refusals {
			got.isError(t, http.StatusServiceUnavailable, "overloaded", "Envoy")
			if got.Header.Get("retry-after") == "" {
				t.Errorf("it does not say when to come back: %v", got.Header)
			}
		}
		t.Logf("of %d who do not read their %d MB %d were refused; Envoy has %d MiB", readers, len(whole.Body)/1e6, refused, g.memory(t, "envoy"))
		return refused > 0
	})
	if has := g.memory(t, "envoy"); has > heap>>20+150 {
		t.Errorf("Envoy has %d MiB, and may have a heap of %d", has, heap>>20)
	}
	began := time.Now()
	eventually(t, "it answers again", func() bool {
		response, err := ask(t.Context())
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusOK && strings.HasSuffix(string(body), "data: [DONE]\n\n")
	})
	t.Logf("it answers again after %s", time.Since(began))
}
