package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestClientGone: whose client leaves, that call of the upstream is given up at once, whichever way it takes, before
// its answer begins, within it, and while it waits to be tried again; and its place is free again.
func TestClientGone(t *testing.T) {
	t.Parallel()
	const rules = "max_in_flight: 1, "
	for name, more := range map[string]string{
		"no rule":         "",
		"a body is read":  `limits: [{requests: 100000/hour, models: ["*"]}], `,
		"tokens":          "limits: [{tokens: 100000000/hour}], ",
		"pace":            "pace: [{events: 100000/second}], ",
		"exact usage":     "usage: exact, ",
		"a call to share": "cache: {}, ",
		"own call, cache": "cache: {collapse: false}, ",
		"several keys":    "SEVERAL",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
			yaml := strings.Replace(oneRoute(url), "{prefix: /,", "{prefix: /, "+rules+strings.ReplaceAll(more, "SEVERAL", ""), 1)
			if more == "SEVERAL" {
				yaml = strings.Replace(yaml, "keys: ["+upstreamKey, "keys: [sk-other-0123456789, "+upstreamKey, 1)
			}
			alice := side{start(t, yaml), clientKey}
			for when, headers := range map[string][]header{
				"before the answer": {{"mock-delay", "10m"}},
				"within the answer": {{"mock-events", "1000"}, {"mock-interval", "1s"}},
				"in a pause":        {{"mock-stall", "10m"}},
			} {
				ctx, leave := context.WithCancel(t.Context())
				left := make(chan struct{})
				before := len(upstream.Requests())
				go func() {
					defer close(left)
					out, err := http.NewRequestWithContext(ctx, http.MethodPost, alice.url+"/v1/chat/completions", strings.NewReader(asking(when)))
					if err != nil {
						panic(err)
					}
					out.Header.Set("authorization", "Bearer "+clientKey)
					for _, h := range headers {
						out.Header.Set(h.name, h.value)
					}
					response, err := newClient(t).Do(out)
					if err != nil {
						return
					}
					defer func() { _ = response.Body.Close() }()
					<-ctx.Done()
				}()
				eventually(t, when+": the upstream is asked", func() bool { return upstream.Busy() > 0 && len(upstream.Requests()) > before })
				leave()
				<-left
				eventually(t, when+": the upstream is left", func() bool { return upstream.Busy() == 0 })
				eventually(t, when+": there is a place again", func() bool {
					return alice.do(t, post("/v1/chat/completions", asking("then"))).Status == http.StatusOK
				})
			}
		})
	}
}

// asking asks for a stream by a question of its own, so that no cache knows the answer.
func asking(question string) string { return strings.Replace(chatStream, "Grüße", question, 1) }

// TestFollowersKeepACall: a call that several share goes on while one of them is there, and ends with the last.
func TestFollowersKeepACall(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, oneRoute(url)+"cache: {scope: route}\n")
	alice := side{g.url, clientKey}
	follow := func() (body io.Reader, leave func()) {
		ctx, cancel := context.WithCancel(t.Context())
		response := alice.send(ctx, t, post("/v1/chat/completions", chatStream, header{"mock-events", "1000"}, header{"mock-interval", "100ms"}))
		if _, err := response.Body.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		return response.Body, func() { cancel(); _ = response.Body.Close() }
	}
	_, first := follow()
	body, second := follow()
	if n := len(upstream.Requests()); n != 1 {
		t.Fatalf("two who ask the same made %d calls", n)
	}
	first()
	for range 30 { // pieces, each of which is an event that comes after the first has left, but for some
		if _, err := body.Read(make([]byte, 300)); err != nil {
			t.Fatalf("the call ended with the first who left: %v", err)
		}
	}
	second()
	eventually(t, "the call ends with the last", func() bool { return upstream.Busy() == 0 })
}

// TestGoneWhileWaiting: a request that waits to be tried again is not, once its client has left.
func TestGoneWhileWaiting(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := strings.Replace(oneRoute(url), "{prefix: /,", "{prefix: /, max_in_flight: 1, retry: {attempts: 3}, ", 1)
	alice := side{start(t, yaml), clientKey}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		out, err := http.NewRequestWithContext(ctx, http.MethodPost, alice.url+"/v1/chat/completions", strings.NewReader(chatStream))
		if err != nil {
			panic(err)
		}
		out.Header = http.Header{"Authorization": {"Bearer " + clientKey}, "Mock-Status": {"503"}, "Mock-Header": {"retry-after: 8"}}
		if response, err := newClient(t).Do(out); err == nil {
			_ = response.Body.Close()
			t.Errorf("it was answered %d", response.StatusCode)
		}
	}()
	eventually(t, "the first attempt has failed", func() bool { return len(upstream.Requests()) == 1 && upstream.Busy() == 0 })
	leave()
	<-left
	eventually(t, "there is a place again", func() bool {
		return alice.do(t, post("/v1/chat/completions", chatStream)).Status == http.StatusOK
	})
	if n := len(upstream.Requests()); n != 2 { // this one, and that of who left
		t.Errorf("the upstream was asked %d times", n)
	}
}
