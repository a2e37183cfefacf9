package e2e

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestPlaces: one call more than may be under way is refused, and says when to come back, whether calls or
// WebSockets are; a place is free again when a client has left, when a WebSocket has ended, and when the process
// that counts has died.
func TestPlaces(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s], max_in_flight: 1}]
upstreams: [{name: openai, url: %q, keys: [%s]}]
routes: [{prefix: /, upstream: openai}]
`, clientKey, url, upstreamKey))
	alice := side{g.url, clientKey}
	full := func(what string) {
		t.Helper()
		eventually(t, what+" is under way", func() bool { return alice.do(t, chat(1, "1ms")).Status == http.StatusTooManyRequests })
		got := alice.do(t, chat(1, "1ms"))
		got.isError(t, http.StatusTooManyRequests, "too_many_in_flight", "Tollgate")
		if got.Header.Get("retry-after") != "1" {
			t.Errorf("it does not say when to come back: %v", got.Header)
		}
	}
	free := func(after string) {
		t.Helper()
		eventually(t, "there is a place "+after, func() bool { return alice.do(t, chat(1, "1ms")).Status == http.StatusOK })
	}
	socket := func() *websocket.Conn {
		t.Helper()
		var conn *websocket.Conn
		eventually(t, "a WebSocket has a place", func() (open bool) {
			var err error
			conn, _, err = websocket.Dial(t.Context(), g.url+"/v1/realtime", &websocket.DialOptions{ //nolint:bodyclose // it is the socket's
				Subprotocols: []string{"realtime"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + clientKey}},
			})
			return err == nil
		})
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}

	ctx, leave := context.WithCancel(t.Context())
	alice.send(ctx, t, chat(1000, "1s"))
	full("a stream")
	leave()
	free("after a client has left")

	conn := socket()
	full("a WebSocket")
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	free("after a WebSocket has ended")

	conn = socket()
	full("another WebSocket")
	_ = conn.CloseNow()
	free("after a WebSocket was cut")

	alice.send(t.Context(), t, chat(1000, "1s"))
	full("a stream that stays")
	if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	free("after the process that counts has died")
}
