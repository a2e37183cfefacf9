package e2e

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestWebSocket echoes texts and a megabyte, with the key in each place where a client can have it.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	direct, through, _ := sides(t)
	for name, s := range map[string]side{"direct": direct, "through": through} {
		tests := map[string]websocket.DialOptions{
			"header":      {Subprotocols: []string{"realtime"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + s.key}}},
			"subprotocol": {Subprotocols: []string{"realtime", "openai-insecure-api-key." + s.key, "openai-beta.realtime-v1"}},
			"compressed":  {Subprotocols: []string{"realtime"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + s.key}}, CompressionMode: websocket.CompressionContextTakeover},
		}
		for place, options := range tests {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				echoes(t, s.url, &options)
			})
		}
	}
}

// TestWebSocketRefused wants a plain 401.
func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	for name, protocols := range map[string][]string{
		"wrong key": {"realtime", "openai-insecure-api-key.wrong-key-0123456789"},
		"no key":    {"realtime"},
	} {
		_, response, err := websocket.Dial(t.Context(), through.url+"/v1/realtime", &websocket.DialOptions{Subprotocols: protocols})
		if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %v, %v", name, response, err)
		}
	}
	if got := len(upstream.Requests()); got != 0 {
		t.Errorf("%d of them reached the upstream", got)
	}
}

// TestWebSocketThroughTLS has an upstream that would rather speak HTTP/2.
func TestWebSocketThroughTLS(t *testing.T) {
	t.Parallel()
	url, ca, _ := mocktest.StartTLS(t, mock.Options{Keys: []string{upstreamKey}})
	gateway := start(t, tlsRoute(url, ca, ""))
	echoes(t, gateway, &websocket.DialOptions{Subprotocols: []string{"realtime"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + clientKey}}})
}

// echoes wants a session, its echoes, and an end in good order.
func echoes(t *testing.T, url string, options *websocket.DialOptions) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/v1/realtime?model=gpt-realtime", options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(4 << 20)
	if conn.Subprotocol() != "realtime" {
		t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	if _, first, err := conn.Read(ctx); err != nil || !strings.Contains(string(first), `"session.created"`) {
		t.Fatalf("first came %s, %v", first, err)
	}
	for kind, message := range map[websocket.MessageType][]byte{
		websocket.MessageText:   []byte(`{"type": "Grüße, 世界 🌍"}`),
		websocket.MessageBinary: mock.Pattern(0, 1<<20),
	} {
		if err := conn.Write(ctx, kind, message); err != nil {
			t.Fatal(err)
		}
		gotKind, got, err := conn.Read(ctx)
		if err != nil || gotKind != kind || !bytes.Equal(got, message) {
			t.Errorf("sent %v of %d bytes, got %v of %d, %v", kind, len(message), gotKind, len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("closing: %v", err)
	}
}
