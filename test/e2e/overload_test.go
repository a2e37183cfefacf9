package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestOverload: where what clients do not read would take more memory than Envoy may have, the streams that hold
// most are ended and new requests are refused at once; when those clients have gone, everything is as before.
// The answers are from the cache, which Envoy takes from Tollgate as fast as it can.
func TestOverload(t *testing.T) {
	t.Parallel()
	const (
		heap    = 128 << 20
		readers = 60
	)
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "tollgate.yaml", g.addresses+oneRoute(url)+"cache: {}\ncache_store: {max_entry_bytes: 16777216}\n")
	g.args = []string{"run", "--max-heap", "134217728"}
	g.start(t)
	alice := side{g.url, clientKey}
	large := func() request { return post("/v1/chat/completions", chatStream, header{"mock-events", "30000"}) }
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
		out.Header = http.Header{"Authorization": {"Bearer " + clientKey}, "Mock-Events": {"30000"}}
		return client.Do(out)
	}
	refused := 0
	for range readers {
		response, err := ask(ctx) // and no more than the head of it is read
		if err != nil {
			refused++ // it was among those that held most
			continue
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		if response.StatusCode == http.StatusServiceUnavailable {
			refused++
		}
	}
	eventually(t, "new requests are refused", func() bool {
		began := time.Now()
		response, err := ask(t.Context())
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusServiceUnavailable {
			return false
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return false
		}
		got := seen{Status: response.StatusCode, Header: response.Header, Body: string(body)}
		got.isError(t, http.StatusServiceUnavailable, "overloaded", "Envoy")
		if got.Header.Get("retry-after") == "" {
			t.Errorf("it does not say when to come back: %v", got.Header)
		}
		t.Logf("an answer of %d MB, %d of %d refused; the next after %s; Envoy has %d MiB", len(whole.Body)/1e6, refused, readers, time.Since(began), g.memory(t, "envoy"))
		return true
	})
	if has := g.memory(t, "envoy"); has > heap>>20+150 {
		t.Errorf("Envoy has %d MiB, and may have a heap of %d", has, heap>>20)
	}
	leave()
	eventually(t, "it answers again", func() bool {
		response, err := ask(t.Context())
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusOK && strings.HasSuffix(string(body), "data: [DONE]\n\n")
	})
}
