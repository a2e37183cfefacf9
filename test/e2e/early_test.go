package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// early is an upstream that answers 429 once it has a request's headers, whatever is still to come, and
// then does with the connection as it was told.
func early(t *testing.T, then func(*net.TCPConn)) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nslow")
				}
				tcp, _ := conn.(*net.TCPConn)
				then(tcp)
			}()
		}
	}()
	return listener.Addr().String()
}

// TestEarlyAnswers: an upstream that turns a key down before the request has ended, and clients that ask
// for what is no WebSocket in the words of one, do Envoy no harm. It once crashed.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	keep := early(t, func(*net.TCPConn) {})
	closes := early(t, func(c *net.TCPConn) { _ = c.Close() })
	resets := early(t, func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() })
	yaml := fmt.Sprintf("clients: [{name: alice, keys: [%s]}]\nupstreams:\n", clientKey)
	routes := "routes:\n"
	for name, address := range map[string]string{"keep": keep, "closes": closes, "resets": resets} {
		yaml += fmt.Sprintf("  - {name: %s, url: \"http://%s\", keys: [%s, %s]}\n", name, address, keyA, keyB)
		routes += fmt.Sprintf("  - {prefix: /%s, upstream: %s}\n", name, name)
	}
	routes += "  - {prefix: /several, upstreams: [{name: keep}, {name: resets}, {name: closes}]}\n"
	g := launch(t, yaml+routes)
	for _, upstream := range []string{"keep", "closes", "resets", "several"} {
		for _, head := range []string{
			"POST /%s/v1 HTTP/1.1\r\nContent-Length: 20\r\n",
			"POST /%s/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
			"POST /%s/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
			"HEAD /%s/v1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
			"GET /%s/v1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
		} {
			status, err := exchange(t.Context(), strings.TrimPrefix(g.url, "http://"), fmt.Sprintf(head, upstream))
			if err != nil || status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
				t.Errorf("%s, %q: %d, %v", upstream, head, status, err)
			}
		}
	}
	if strings.Contains(g.output.String(), "Caught") {
		t.Error("Envoy crashed")
	}
}

// exchange sends a request's head and two bytes of what follows, and reads the status of the answer.
func exchange(ctx context.Context, address, head string) (int, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "%sHost: x\r\nAuthorization: Bearer %s\r\n\r\n2\r\n", head, clientKey); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}
