package share

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

// scripted accepts connections, each of which is answered by the next of the scripts.
func scripted(t *testing.T, scripts ...func(connection net.Conn, in *bufio.Reader)) *lines {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for _, script := range scripts {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			script(connection, bufio.NewReader(connection))
			_ = connection.Close()
		}
		_ = listener.Close() // nobody is to come any more
	}()
	l := &lines{socket: socket}
	t.Cleanup(l.close)
	return l
}

// take reads a request, and gives its body.
func take(t *testing.T, in *bufio.Reader) string {
	request, err := http.ReadRequest(in)
	if err != nil {
		t.Error("the request:", err)
		return ""
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Error("the request's body:", err)
	}
	return string(body)
}

// call makes a call, and gives the answer's body and the error.
func call(t *testing.T, l *lines, body string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://upstream/v1", strings.NewReader(body))
	require.NoError(t, err)
	a, err := l.ask(t.Context(), request)
	if err != nil {
		return "", err
	}
	all, err := io.ReadAll(a.Body)
	l.end(a, err == nil)
	return string(all), err
}

// TestOneLineForAll: calls one after the other are made on one line, whatever the answers look like.
func TestOneLineForAll(t *testing.T) {
	answers := []string{
		plain,
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" + plain,
	}
	l := scripted(t, func(connection net.Conn, in *bufio.Reader) {
		for _, answer := range answers {
			if got := take(t, in); got != "asked" {
				t.Errorf("the upstream got %q", got)
			}
			_, _ = io.WriteString(connection, answer)
		}
	})
	for range answers {
		got, err := call(t, l, "asked")
		require.NoError(t, err)
		require.Equal(t, "ok", got)
	}
}

// TestNotOnThatLine: a line on which no call can be made any more is not kept.
func TestNotOnThatLine(t *testing.T) {
	for name, answer := range map[string]string{
		"which says that it closes":  "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
		"whose answer has no length": "HTTP/1.1 200 OK\r\n\r\nok",
		"with more than the answer":  plain + "HTTP/1.1 200 OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			once := func(connection net.Conn, in *bufio.Reader) {
				take(t, in)
				_, _ = io.WriteString(connection, answer)
			}
			l := scripted(t, once, once)
			for range 2 {
				got, err := call(t, l, "asked")
				require.NoError(t, err)
				require.Equal(t, "ok", got)
			}
			require.Empty(t, l.idle)
		})
	}
}

// TestIdleMeanwhile: a call does not fail because its line was closed while it was idle, nor is its answer what came
// there that nobody asked for; and a call that the upstream may know of is not made twice.
func TestIdleMeanwhile(t *testing.T) {
	for name, late := range map[string]string{"closed": "", "with an answer too many": "HTTP/1.1 408 Request Timeout\r\ncontent-length: 2\r\n\r\nno"} {
		for _, again := range []string{"again", strings.Repeat("again", 1<<20)} {
			t.Run(fmt.Sprint(name, ", then ", len(again)), func(t *testing.T) {
				answered, idle := make(chan struct{}), make(chan struct{})
				l := scripted(t, func(connection net.Conn, in *bufio.Reader) {
					take(t, in)
					_, _ = io.WriteString(connection, plain)
					<-answered
					_, _ = io.WriteString(connection, late)
					_ = connection.Close()
					close(idle)
				}, func(connection net.Conn, in *bufio.Reader) {
					if got := take(t, in); got != again {
						t.Errorf("the upstream got %d bytes", len(got))
					}
					_, _ = io.WriteString(connection, plain)
					take(t, in)
				})
				_, err := call(t, l, "first")
				require.NoError(t, err)
				close(answered)
				<-idle
				got, err := call(t, l, again)
				require.NoError(t, err)
				require.Equal(t, "ok", got)
				_, err = call(t, l, "taken, and not answered")
				require.Error(t, err)
			})
		}
	}
}

// TestAnswersEarly: an upstream may answer before it has read the request, and read no more of it.
func TestAnswersEarly(t *testing.T) {
	l := scripted(t, func(connection net.Conn, in *bufio.Reader) {
		_, _ = in.ReadByte()
		_, _ = io.WriteString(connection, "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
		<-t.Context().Done()
	})
	got, err := call(t, l, strings.Repeat("x", 8<<20))
	require.NoError(t, err)
	require.Equal(t, "no", got)
	require.Empty(t, l.idle, "half a request is on it")
}

// TestLargeRequest: what does not fit into the socket arrives whole, and its line is kept.
func TestLargeRequest(t *testing.T) {
	large := string(bytes.Repeat([]byte("0123456789abcdef"), 512<<10))
	l := scripted(t, func(connection net.Conn, in *bufio.Reader) {
		for range 2 {
			if take(t, in) != large {
				t.Error("it did not arrive as it was")
			}
			_, _ = io.WriteString(connection, plain)
		}
	})
	for range 2 {
		got, err := call(t, l, large)
		require.NoError(t, err)
		require.Equal(t, "ok", got)
	}
}

// TestGivenUp: a call ends with its context, wherever it is, and its line with it.
func TestGivenUp(t *testing.T) {
	for name, answer := range map[string]string{"before the answer": "", "in its middle": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"} {
		t.Run(name, func(t *testing.T) {
			hungUp := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			l := scripted(t, func(connection net.Conn, in *bufio.Reader) {
				take(t, in)
				_, _ = io.WriteString(connection, answer)
				if answer == "" {
					cancel()
				}
				_, _ = in.ReadByte()
				close(hungUp)
			})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://upstream/v1", strings.NewReader("asked"))
			require.NoError(t, err)
			a, err := l.ask(ctx, request)
			if answer != "" {
				require.NoError(t, err)
				cancel()
				_, err = io.ReadAll(a.Body)
				l.end(a, false)
			}
			require.Error(t, err)
			<-hungUp
			require.Empty(t, l.idle)
		})
	}
}

// TestReap: lines that were not used for long are closed, others stay.
func TestReap(t *testing.T) {
	now, l := time.Now(), &lines{}
	peers := map[time.Duration]net.Conn{}
	for _, ago := range []time.Duration{2 * idleWithin, idleWithin, idleWithin - 1, 0} {
		ours, peer := net.Pipe()
		peers[ago] = peer
		l.idle = append(l.idle, &line{Conn: ours, since: now.Add(-ago)})
	}
	l.reap(now)
	defer l.close()
	require.Len(t, l.idle, 2)
	for ago, peer := range peers {
		_ = peer.SetReadDeadline(time.Now())
		_, err := peer.Read(make([]byte, 1))
		if closed := errors.Is(err, io.EOF); closed != (ago >= idleWithin) {
			t.Errorf("idle for %v: %v", ago, err)
		}
	}
}
