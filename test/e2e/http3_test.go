package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// http3Client is one that speaks nothing else, and trusts one authority.
func http3Client(t *testing.T, authority string) *http.Client {
	t.Helper()
	trusting, _ := mocktest.Client(t, authority).Transport.(*http.Transport)
	transport := &http3.Transport{TLSClientConfig: trusting.TLSClientConfig}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: patience}
}

// withHTTP3 is a gateway that speaks HTTP/3 to so many clients, and its address.
func withHTTP3(t *testing.T, upstream, certificate, key string, clients int) (g *gateway, url string) {
	t.Helper()
	g = newGateway(t)
	more := fmt.Sprintf(", http3: true, max_connections: %d, tls: {certificate_file: %s, private_key_file: %s}}\n", clients, certificate, key)
	addresses := strings.Replace(g.addresses, "}\n", more, 1)
	g.write(t, "tollgate.yaml", addresses+oneRoute(upstream))
	g.args = []string{"run"}
	g.start(t)
	return g, "https://127.0.0.1:" + g.port()
}

// TestHTTP3: a client has by HTTP/3 what it has by HTTP/2, where it learns of it.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	upstream, seen := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	authority := mocktest.NewAuthority(t, "ours")
	certificate, key := authority.Issue(t, mocktest.ForServer)
	g, url := withHTTP3(t, upstream, certificate, key, 100)
	over3 := http3Client(t, authority.File)
	ask := func(client *http.Client, key string, r request) (*http.Response, string) {
		t.Helper()
		r.headers = append(r.headers, header{"Authorization", "Bearer " + key})
		response, err := callTLS(t, client, url, r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	for _, client := range []*http.Client{mocktest.Client(t, authority.File), over3} {
		response, body := ask(client, clientKey, chat(20, "1ms"))
		if response.StatusCode != http.StatusOK || !strings.HasSuffix(body, "data: [DONE]\n\n") {
			t.Errorf("%s: %s %s", response.Proto, response.Status, body)
		}
		if got := response.Header.Get("alt-svc"); got != fmt.Sprintf(`h3=":%s"; ma=86400`, g.port()) {
			t.Errorf("%s: alt-svc: %s", response.Proto, got)
		}
		response, body = ask(client, "fk-wrong", chat(20, "1ms"))
		if response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"invalid_api_key"`) {
			t.Errorf("%s: %s %s", response.Proto, response.Status, body)
		}
	}
	large := request{method: http.MethodPost, path: "/echo", body: strings.NewReader(strings.Repeat("a", 5<<20))}
	if response, body := ask(over3, clientKey, large); response.ProtoMajor != 3 || !strings.Contains(body, `"body_length":5242880`) {
		t.Errorf("5 MiB: %s %s: %s", response.Proto, response.Status, body)
	}
	if n := len(seen.Requests()); n != 3 {
		t.Errorf("%d requests came to the upstream, want 3", n)
	}
}

// TestHTTP3Ends: a renewed certificate is seen by HTTP/3, too; and when the gateway is stopped, what is under way goes
// on, and nobody else gets in.
func TestHTTP3Ends(t *testing.T) {
	t.Parallel()
	upstream, seen := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	old, next := mocktest.NewAuthority(t, "old"), mocktest.NewAuthority(t, "next")
	certificate, key := old.Issue(t, mocktest.ForServer)
	g, url := withHTTP3(t, upstream, certificate, key, 100)
	health := request{method: http.MethodGet, path: "/healthz"}
	if _, err := callTLS(t, http3Client(t, old.File), url, health); err != nil {
		t.Fatal(err)
	}
	next.IssueInto(t, certificate, key, mocktest.ForServer)
	eventually(t, "the new certificate is shown", func() bool {
		_, err := callTLS(t, http3Client(t, next.File), url, health)
		return err == nil
	})

	r := chat(20, "1ms")
	r.headers = append(r.headers, header{"Authorization", "Bearer " + clientKey}, header{"mock-step", "held"})
	stream, err := callTLS(t, http3Client(t, next.File), url, r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	goOn := func() {
		t.Helper()
		if err := seen.Step(ctx, "held"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stream.Body, make([]byte, 10)); err != nil {
			t.Fatalf("the stream that is under way: %v", err)
		}
	}
	goOn()
	g.terminate(t)
	eventually(t, "new connections are refused", func() bool {
		_, err := callTLS(t, http3Client(t, next.File), url, health)
		return err != nil
	})
	goOn()
	_ = stream.Body.Close()
	g.awaitEnd(t)
}

// TestHTTP3Edited: an edit turns HTTP/3 off and on.
func TestHTTP3Edited(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{})
	authority := mocktest.NewAuthority(t, "ours")
	certificate, key := authority.Issue(t, mocktest.ForServer)
	g, url := withHTTP3(t, upstream, certificate, key, 100)
	with, err := os.ReadFile(filepath.Join(g.dir, "tollgate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true} {
		g.write(t, "tollgate.yaml", strings.Replace(string(with), "http3: true", fmt.Sprintf("http3: %t", want), 1))
		g.await(t, "a new configuration is in force", i+1)
		if _, err := callTLS(t, http3Client(t, authority.File), url, request{method: http.MethodGet, path: "/healthz"}); (err == nil) != want {
			t.Errorf("http3: %t: %v", want, err)
		}
	}
}

// TestHTTP3Connections: one connection more than there may be is not answered.
func TestHTTP3Connections(t *testing.T) {
	t.Parallel()
	upstream, _ := mocktest.Start(t, mock.Options{})
	authority := mocktest.NewAuthority(t, "ours")
	certificate, key := authority.Issue(t, mocktest.ForServer)
	_, url := withHTTP3(t, upstream, certificate, key, 1)
	health := request{method: http.MethodGet, path: "/healthz"}
	first := http3Client(t, authority.File)
	for range 2 {
		if _, err := callTLS(t, first, url, health); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := callTLS(t, http3Client(t, authority.File), url, health); err == nil {
		t.Error("a second connection is answered")
	}
}
