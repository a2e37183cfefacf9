// Package mocktest starts the mock in tests.
//
//	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{"sk-real"}})
//	// ... let something call url ...
//	key := upstream.Requests()[0].Header.Get("authorization")
//
// What it starts ends with the test.
package mocktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"tollgate/test/mock"
)

// Start serves a mock on a free port of 127.0.0.1 and returns its URL.
func Start(tb testing.TB, opts mock.Options) (url string, upstream *mock.Server) {
	tb.Helper()
	upstream = mock.New(opts)
	server := httptest.NewServer(upstream)
	tb.Cleanup(func() { end(server) })
	return server.URL, upstream
}

// The ports that this process gives begin anywhere, and are counted, so that two of them are never the same.
var (
	firstPort = rand.Uint32N(20_000) //nolint:gosec // any will do
	nextPort  atomic.Uint32
)

// FreeAddress returns an address of 127.0.0.1 on which nobody listens. Its port is not one of those that
// Linux gives to outgoing connections: between here and its use one of these could be taken. No port is given
// twice.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+(firstPort+nextPort.Add(1))%20_000)
		listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
		if err != nil {
			continue
		}
		_ = listener.Close()
		return address
	}
	tb.Fatal("no free port was found")
	return ""
}

// end does not wait for streams that a test left behind.
func end(server *httptest.Server) {
	server.CloseClientConnections()
	server.Close()
}
