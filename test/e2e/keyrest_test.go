package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"tollgate/config"
	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

const (
	keyA = "sk-key-a-0123456789"
	keyB = "sk-key-b-0123456789"
)

// twoKeys is a configuration with one upstream that has two keys.
func twoKeys(upstream, route string) string {
	return fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: openai, url: %q, keys: [%s, %s]}]
routes: [{prefix: /, upstream: openai%s}]
telemetry: {usage: true}
`, clientKey, upstream, keyA, keyB, route)
}

// keysOf lists which keys a mock saw in chats, in their order.
func keysOf(upstream *mock.Server) string {
	var letters strings.Builder
	for _, r := range upstream.Requests() {
		if r.Method != http.MethodPost {
			continue
		}
		letter := map[string]string{keyA: "a", keyB: "b"}[strings.TrimPrefix(r.Header.Get("authorization"), "Bearer ")]
		if letter == "" {
			letter = "?"
		}
		letters.WriteString(letter)
	}
	return letters.String()
}

// turnedDown is a chat that the mock answers so where it comes with a key.
func turnedDown(key, status string, more ...header) request {
	r := chat(3, "1ms")
	r.headers = append(append(r.headers, more...), header{"mock-for-key", key}, header{"mock-status", status})
	return r
}

// TestTurnedDownKeys: what a key is turned down for is tried again with another, and the key rests.
func TestTurnedDownKeys(t *testing.T) {
	t.Parallel()
	minute := header{"mock-header", "retry-after: 60"}
	for name, test := range map[string]struct {
		route  string
		send   []request // one after the other
		status []int
		keys   string // that the upstream saw
	}{
		"429": {send: []request{turnedDown(keyA, "429", minute), chat(1, "1ms"), chat(1, "1ms")}, status: []int{200, 200, 200}, keys: "abbb"},
		"401": {send: []request{turnedDown(keyA, "401"), chat(1, "1ms"), chat(1, "1ms")}, status: []int{200, 200, 200}, keys: "abbb"},
		"403": {send: []request{turnedDown(keyA, "403"), chat(1, "1ms")}, status: []int{200, 200}, keys: "abb"},
		"429 of both": {
			send:   []request{turnedDown(keyA, "429", minute), turnedDown(keyB, "429", header{"mock-header", "retry-after: 20"}), chat(1, "1ms")},
			status: []int{200, 429, 200}, keys: "abbb", // none is left for the second; b rests the shortest
		},
		"500 says nothing of a key":  {send: []request{turnedDown(keyA, "500"), chat(1, "1ms"), chat(1, "1ms")}, status: []int{500, 200, 200}, keys: "aba"},
		"503 neither":                {send: []request{turnedDown(keyA, "503", header{"mock-times", "once 1"}), chat(1, "1ms")}, status: []int{200, 200}, keys: "aba"},
		"no attempts left":           {route: ", retry: {attempts: 1}", send: []request{turnedDown(keyA, "429", minute), chat(1, "1ms")}, status: []int{429, 200}, keys: "ab"},
		"without 429":                {route: ", retry: {statuses: [503]}", send: []request{turnedDown(keyA, "429", minute), chat(1, "1ms")}, status: []int{429, 200}, keys: "ab"},
		"a client's own key is its":  {route: ", auth: passthrough", send: []request{ownKey(), chat(1, "1ms"), chat(1, "1ms")}, status: []int{401, 200, 200}, keys: "?ab"},
		"by the gate's body and tap": {route: ", usage: exact", send: []request{turnedDown(keyA, "429", minute), chat(1, "1ms")}, status: []int{200, 200}, keys: "abb"},
		"in a shared call":           {route: ", cache: {}", send: []request{turnedDown(keyA, "429", minute), chat(2, "1ms")}, status: []int{200, 200}, keys: "ab"},
		"in a shared call, own key":  {route: ", cache: {}, auth: passthrough", send: []request{ownKey(), chat(1, "1ms")}, status: []int{401, 200}, keys: "?a"},
		"nor does a reset":           {send: []request{turnedDown(keyA, "200", header{"mock-break", "reset"}), chat(1, "1ms")}, status: []int{200, 200}, keys: "aba"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, upstream := mocktest.Start(t, mock.Options{Keys: []string{keyA, keyB}})
			g := launch(t, twoKeys(url, test.route))
			for i, r := range test.send {
				got := side{g.url, clientKey}.do(t, r)
				if got.Status != test.status[i] {
					t.Errorf("request %d: got %d %s, want %d", i+1, got.Status, got.Body, test.status[i])
				}
				for name := range got.Header {
					if strings.HasPrefix(strings.ToLower(name), "x-tollgate-") {
						t.Errorf("request %d: the client sees %v", i+1, got.Header)
					}
				}
			}
			if diff := cmp.Diff(test.keys, keysOf(upstream)); diff != "" {
				t.Errorf("the keys that the upstream saw (-want +got):\n%s", diff)
			}
		})
	}
}

// ownKey is a chat with a key that is nobody's here, nor the upstream's.
func ownKey() request {
	r := chat(1, "1ms")
	r.headers = append(r.headers, header{"authorization", "Bearer sk-own-0123456789"})
	return r
}

// TestKeyHealth: that a key is turned down is said once, in log and metrics, by its fingerprint; a retry
// of another key does not wait for the first; and an edit forgets.
func TestKeyHealth(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{keyA, keyB}})
	yaml := twoKeys(url, "")
	g := launch(t, yaml)
	through := side{g.url, clientKey}
	for range 3 {
		through.do(t, turnedDown(keyA, "401"))
	}
	through.do(t, turnedDown(keyB, "429", header{"mock-header", "retry-after: 7"}))
	through.do(t, turnedDown(keyB, "429", header{"mock-header", "retry-after: 7"}))
	a, b := config.NewSecret(keyA).Fingerprint(), config.NewSecret(keyB).Fingerprint()
	for _, said := range []string{`"key":"` + a + `","status":401,"for":3600`, `"key":"` + b + `","status":429,"for":7`} {
		g.await(t, said, 1)
		if n := strings.Count(g.output.String(), said); n != 1 {
			t.Errorf("%s is said %d times", said, n)
		}
	}
	for _, line := range []string{
		`tollgate_upstream_key_answers_total{key="` + a + `",status="401",upstream="openai"} 1`,
		`tollgate_upstream_key_answers_total{key="` + b + `",status="2xx",upstream="openai"} 3`,
		`tollgate_upstream_key_answers_total{key="` + b + `",status="429",upstream="openai"} 2`,
		`tollgate_upstream_key_rest_seconds{key="` + a + `",upstream="openai"} 3`,
		`tollgate_upstream_key_rest_seconds{key="` + b + `",upstream="openai"} `,
		`tollgate_answers_total{cause="whole",route="/"} 5`,
	} {
		eventually(t, "metrics say "+line, func() bool { return strings.Contains(g.get(t, g.admin+"/metrics", nil), line) })
	}
	if all := g.output.String() + g.get(t, g.admin+"/metrics", nil); strings.Contains(all, keyA) || strings.Contains(all, keyB) {
		t.Error("a key is shown")
	}
	before := keysOf(upstream)
	g.edit(t, yaml+"ip: {deny: [192.0.2.1]}\n", false)
	g.await(t, "a new configuration is in force", 1)
	for range 2 {
		through.do(t, chat(1, "1ms"))
	}
	if got := strings.TrimPrefix(keysOf(upstream), before); got != "ab" {
		t.Errorf("after an edit the keys' turns are %s", got)
	}
}

// TestKeysOfWebSockets: the attempt that follows takes its key as a subprotocol, where the client did.
func TestKeysOfWebSockets(t *testing.T) {
	t.Parallel()
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{keyB}}) // and turns keyA down
	conn, _, err := websocket.Dial(t.Context(), start(t, twoKeys(url, ""))+"/v1/realtime?model=m", &websocket.DialOptions{
		Subprotocols: []string{"realtime", "openai-insecure-api-key." + clientKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	var seen []string
	for _, r := range upstream.Requests() {
		seen = append(seen, r.Header.Get("sec-websocket-protocol"))
	}
	want := []string{"realtime, openai-insecure-api-key." + keyA, "realtime, openai-insecure-api-key." + keyB}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("the upstream saw (-want +got):\n%s", diff)
	}
}

// TestOnlyKeyTurnedDown: a client whose own key is right gets the 401 that is for the upstream's, and the log says whose
// it is, also where several share a call. Of an upstream without a key, it is the client's to mend.
func TestOnlyKeyTurnedDown(t *testing.T) {
	t.Parallel()
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := launch(t, fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams: [{name: one, url: %q, keys: [sk-old]}, {name: two, url: %[2]q, keys: [sk-old]}, {name: three, url: %[2]q}]
routes:
  - {prefix: /three, upstream: three, auth: passthrough}
  - {prefix: /one, upstream: one}
  - {prefix: /two, upstream: two, cache: {}}
`, clientKey, url))
	for _, route := range []string{"/three", "/one", "/two"} {
		through := side{g.url, clientKey}
		if got := through.do(t, request{method: "POST", path: route + "/v1/chat/completions", body: strings.NewReader(chatStream)}); got.Status != 401 {
			t.Errorf("%s: got %+v", route, got)
		}
	}
	const said = `perhaps a client's own","requests":1,"upstream":`
	g.await(t, said+`"one"`, 1)
	g.await(t, said+`"two"`, 1)
	if got := strings.Count(g.output.String(), said); got != 2 {
		t.Errorf("it is said of %d", got)
	}
}
