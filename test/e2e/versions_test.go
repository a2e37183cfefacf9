package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
	"tollgate/xds"
)

// TestLowestEnvoy: the oldest Envoy that is said to work does, with everything on: the gate reads bodies and has a
// hand in answers, the tap records, another upstream stands in, an answer comes from the cache, and a stop drains.
func TestLowestEnvoy(t *testing.T) {
	t.Parallel()
	lowest := os.Getenv("LOWEST_ENVOY_PATH")
	if lowest == "" {
		if found, _ := filepath.Glob("../../.tools/lowest-envoy-*/envoy"); len(found) == 1 {
			lowest, _ = filepath.Abs(found[0])
		}
	}
	if _, err := os.Stat(lowest); err != nil {
		t.Fatalf("there is no Envoy of the lowest version: %v: run `make test-tools`", err)
	}
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	g.write(t, "tollgate.yaml", g.addresses+fmt.Sprintf(`
clients: [{name: alice, keys: [%s]}]
upstreams:
  - {name: away, url: "http://%s", keys: [sk-away-1, sk-away-2]}
  - {name: here, url: %q, keys: [%s]}
routes: [{prefix: /, upstreams: [{name: away}, {name: here}], usage: exact}]
limits: [{tokens: 100000/hour}, {requests: 100/hour}]
pace: [{events: 1000/second}]
cache: {ttl: 1h}
chat_log: {}
telemetry: {usage: true}
`, clientKey, mocktest.FreeAddress(t), url, upstreamKey))
	g.args, g.env = []string{"run"}, []string{"ENVOY_PATH=" + lowest}
	g.start(t)
	g.await(t, `"version":"`+xds.LowestEnvoy(), 1)
	through := side{g.url, clientKey}
	for _, want := range []string{"fwd=uri-miss", "hit"} {
		got := through.ask(t, "again", true)
		if got.Status != http.StatusOK || got.Err != "" || !strings.HasSuffix(got.Body, "[DONE]\n\n") {
			t.Errorf("got %d %s, and then %q", got.Status, got.Body, got.Err)
		}
		if !strings.Contains(got.Header.Get("cache-status"), want) {
			t.Errorf("cache-status is %q, want %s", got.Header.Get("cache-status"), want)
		}
		if got.Header.Get("x-ratelimit-remaining-requests") == "" {
			t.Error("the answer does not tell what is left of the limit")
		}
	}
	if got := (side{g.url, "fk-wrong"}).ask(t, "refused", false); got.Status != http.StatusUnauthorized {
		t.Errorf("a wrong key gets %d %s", got.Status, got.Body)
	}
	f := openFlow(t, through, upstream, "drained")
	g.terminate(t)
	g.await(t, "draining: no more connections", 1)
	f.rest(t)
	g.awaitEnd(t)
	questions, answers := g.chats(t)
	if a := answers[questions["drained"].UID]; a.Cause != "" || a.Assistant == "" {
		t.Errorf("the stream's record is %+v", a)
	}
}

// TestTooOldEnvoy: an Envoy that would reject its configuration is not started.
func TestTooOldEnvoy(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.write(t, "envoy", "#!/bin/sh\necho 'envoy  version: 0123/1.39.9/Clean/RELEASE/BoringSSL'\n")
	old := filepath.Join(g.dir, "envoy")
	if err := os.Chmod(old, 0o700); err != nil {
		t.Fatal(err)
	}
	g.write(t, "tollgate.yaml", g.addresses+oneRoute("http://127.0.0.1:1"))
	g.args, g.env = []string{"run"}, []string{"ENVOY_PATH=" + old}
	out, err := g.command(t).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is Envoy 1.39, and too old: it must be "+xds.LowestEnvoy()+" or newer\nhint: ") {
		t.Errorf("it ends with %v and says %s", err, out)
	}
}
