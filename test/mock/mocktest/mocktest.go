// Package mocktest starts the mock in tests.
//
//	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{"sk-real"}})
//	// ... let something call url ...
//	key := upstream.Requests()[0].Header.Get("authorization")
//
// What it starts ends with the test.
package mocktest

import (
	"net"
	"net/http/httptest"
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

// FreeAddress returns an address of 127.0.0.1 on which nobody listens.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("finding a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// end does not wait for streams that a test left behind.
func end(server *httptest.Server) {
	server.CloseClientConnections()
	server.Close()
}
