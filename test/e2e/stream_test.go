package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// hundredMB is what must pass in either direction without anybody keeping it.
const hundredMB = 100 << 20

// TestEventsArriveAtOnce lets the upstream send an event only when the one before has arrived.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	for _, encoding := range []string{"", "gzip"} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			step := "events-" + encoding
			headers := []header{{"mock-step", step}, {"mock-events", "20"}}
			if encoding != "" {
				headers = append(headers, header{"mock-encoding", encoding})
			}
			response := through.send(ctx, t, request{
				method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream), headers: headers,
			})
			events := 0
			buffer := make([]byte, 64<<10)
			for {
				if err := upstream.Step(ctx, step); err != nil {
					t.Fatal(err)
				}
				n, err := response.Body.Read(buffer)
				if n == 0 { // the last one may come with the end
					t.Fatalf("after %d events: %d bytes, %v", events, n, err)
				}
				events++
				if events == 24 { // the role, 20 words, the end, the usage, [DONE]
					return
				}
			}
		})
	}
}

// TestHeadersComeBeforeTheBody has a stream that was taken up but says nothing yet.
func TestHeadersComeBeforeTheBody(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := through.send(ctx, t, request{
		method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream), headers: []header{{"mock-step", "s"}},
	})
	if response.StatusCode != 200 {
		t.Errorf("got %s", response.Status)
	}
	if err := upstream.Step(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: {") {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestUploadOf100MB sends them with and without a content-length.
func TestUploadOf100MB(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	want := digestOf(t, newPattern(hundredMB))
	for name, length := range map[string]int64{"counted": hundredMB, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			got := through.echo(t, request{method: "PUT", path: "/echo/large", body: newPattern(hundredMB), length: length})
			if got.BodyLength != hundredMB || got.BodySHA256 != want {
				t.Errorf("%d bytes arrived, with the digest %s, not %s", got.BodyLength, got.BodySHA256, want)
			}
			if got.ContentLength != length {
				t.Errorf("content-length is %d", got.ContentLength)
			}
		})
	}
}

func TestDownloadOf100MB(t *testing.T) {
	t.Parallel()
	_, through, _ := sides(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response := through.send(ctx, t, request{
		method: "POST", path: "/v1/audio/speech", body: strings.NewReader(`{"input":"a"}`), headers: []header{{"mock-size", "104857600"}},
	})
	if got, want := digestOf(t, response.Body), digestOf(t, newPattern(hundredMB)); got != want {
		t.Errorf("the digest is %s, not %s", got, want)
	}
}

// TestBrokenAnswers breaks the upstream's connection: a client must not take a part for the whole.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	direct, through, _ := sides(t)
	plain := strings.Replace(chatStream, `"stream":true`, `"stream":false`, 1)
	tests := map[string]struct{ where, body string }{
		"plain answer, after its headers": {"after-headers", plain},
		"plain answer, in its middle":     {"mid-body", plain},
		"stream, after its headers":       {"after-headers", chatStream},
		"stream, between events":          {"mid-body", chatStream},
		"stream, within an event":         {"mid-event", chatStream},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := func(s side) seen {
				return s.do(t, request{
					method: "POST", path: "/v1/chat/completions", body: strings.NewReader(test.body), headers: []header{{"mock-break", test.where}},
				})
			}
			want, got := ask(direct), ask(through)
			if got.Err != io.ErrUnexpectedEOF.Error() || got.Status != 200 {
				t.Errorf("the client sees %d, and as the body's end %q", got.Status, got.Err)
			}
			if got.Body != want.Body {
				t.Errorf("what came before the break is lost:\ngot  %q\nwant %q", got.Body, want.Body)
			}
		})
	}
}

// TestUnreachable has upstreams that are not there, or hang up without a word.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		g := launch(t, oneRoute("http://"+mocktest.FreeAddress(t)))
		side{g.url, clientKey}.do(t, request{method: "GET", path: "/v1/models"}).isError(t, 503, "upstream_unreachable", "Envoy")
		g.await(t, `Connection_refused}","requests":1`, 1)
		g.await(t, `"hint":"nothing listens there`, 1)
	})
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		_, through, _ := sides(t)
		got := through.do(t, request{method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream), headers: []header{{"mock-break", "reset"}}})
		got.isError(t, 503, "upstream_reset", "Envoy")
	})
}

// TestClientLeaves has the upstream learn that nobody listens any more.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	_, through, upstream := sides(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leaving, leave := context.WithCancel(ctx)
	response := through.send(leaving, t, request{
		method: "POST", path: "/v1/chat/completions", body: strings.NewReader(chatStream),
		headers: []header{{"mock-interval", "1ms"}, {"mock-events", "100000"}},
	})
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := upstream.AwaitIdle(ctx); err != nil {
		t.Errorf("the upstream goes on: %v", err)
	}
}

// pattern reads the mock's binary content.
type pattern struct{ at, size int64 }

func newPattern(size int64) io.Reader { return &pattern{size: size} }

func (p *pattern) Read(into []byte) (int, error) {
	n := min(int64(len(into)), p.size-p.at)
	if n == 0 {
		return 0, io.EOF
	}
	copy(into, mock.Pattern(p.at, n))
	p.at += n
	return int(n), nil
}

func digestOf(t *testing.T, from io.Reader) string {
	t.Helper()
	sum := sha256.New()
	if n, err := io.Copy(sum, from); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
