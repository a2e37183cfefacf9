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

// TestSlowReaders: clients that read nothing of large answers hold up nobody else, and Envoy does not grow by more
// than some buffers of each, although all of them share connections to an upstream that speaks HTTP/2.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	const readers, perReader = 200, 2 // MiB
	url, ca, upstream := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}}, "h2")
	g := launch(t, tlsRoute(url, ca, "")+"telemetry: {usage: true}\n")
	alice := side{g.url, clientKey}
	speech := func(size string) request {
		return post("/v1/audio/speech", `{"model":"tts-1","input":"hello","voice":"alloy"}`, header{"mock-size", size})
	}
	alice.do(t, speech("1000"))
	before := g.memory(t, "envoy")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range readers {
		alice.send(ctx, t, speech("67108864"))
	}
	eventually(t, "all of them are under way", func() bool { return len(upstream.Requests()) > readers })
	began := time.Now()
	for range 20 {
		got := alice.do(t, speech("1000000"))
		if got.Status != http.StatusOK || len(got.Body) != 1_000_000 {
			t.Fatalf("who reads got %d, %d bytes %s", got.Status, len(got.Body), got.Err)
		}
	}
	grown := g.memory(t, "envoy") - before
	t.Logf("beside %d who do not read, 20 answers of 1 MB took %s; Envoy grew from %d MiB by %d", readers, time.Since(began), before, grown)
	if grown > readers*perReader {
		t.Errorf("Envoy grew by %d MiB for %d readers", grown, readers)
	}
}

// TestSlowWriters: clients that send bodies slowly hold up nobody else, on routes whose bodies the gate reads and on
// others.
func TestSlowWriters(t *testing.T) {
	t.Parallel()
	const writers = 200
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, strings.Replace(oneRoute(url), "routes: [", `routes: [{prefix: /read, upstream: openai, limits: [{requests: 100000/hour, models: ["*"]}]}, `, 1))
	alice := side{g.url, clientKey}
	for n := range writers {
		body, write := io.Pipe()
		t.Cleanup(func() { _ = write.CloseWithError(io.ErrUnexpectedEOF) })
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			out, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+[]string{"/echo", "/read/echo"}[n%2], body)
			if err != nil {
				panic(err)
			}
			out.Header.Set("authorization", "Bearer "+clientKey)
			if response, err := http.DefaultTransport.RoundTrip(out); err == nil {
				_ = response.Body.Close()
			}
		}()
		if _, err := io.WriteString(write, "{"); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/echo", "/read/echo"} {
		for range 20 {
			if got := alice.do(t, post(path, "{}")); got.Status != http.StatusOK {
				t.Fatalf("%s: who writes got %d %s", path, got.Status, got.Body)
			}
		}
	}
}
