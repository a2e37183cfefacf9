package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestCacheOnDisk: answers outlive the death of the process, and nothing half written is ever answered.
func TestCacheOnDisk(t *testing.T) {
	t.Parallel()
	g, upstream := cached(t, "", "cache_store: {dir: answers}\n")
	alice := side{g.url, clientKey}
	ask := func(i int) seen {
		return alice.do(t, post("/v1/chat/completions", question(fmt.Sprint("question ", i), i%2 == 0)))
	}
	const n = 20
	first := make([]seen, n)
	for i := range n {
		first[i] = ask(i)
	}
	for round := range 3 {
		if err := syscall.Kill(g.child(t, "serve"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the gateway serves again", func() bool { return ask(n+round).Status == http.StatusOK })
		asked := len(upstream.Requests())
		for i := range n {
			got := ask(i)
			if !strings.HasPrefix(got.Header.Get("cache-status"), "tollgate; hit") || got.Body != first[i].Body {
				t.Errorf("after death %d, answer %d: %q\n%s", round+1, i, got.Header.Get("cache-status"), got.Body)
			}
		}
		if more := len(upstream.Requests()) - asked; more > 0 {
			t.Errorf("after death %d the upstream was asked %d times", round+1, more)
		}
	}
}

// TestCacheInRedis: replicas share what one of them was answered; without Redis all go on, uncached.
func TestCacheInRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	url, upstream := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	yaml := oneRoute(url) + fmt.Sprintf("cache: {}\ncache_store: {redis: %q}\n", "redis://"+redis.address)
	one, two := launch(t, yaml), launch(t, yaml)
	ask := func(g *gateway, text string) seen {
		return side{g.url, clientKey}.do(t, post("/v1/chat/completions", question(text, true)))
	}
	first := ask(one, "shared")
	second := ask(two, "shared")
	if second.Body != first.Body || !strings.HasPrefix(second.Header.Get("cache-status"), "tollgate; hit") {
		t.Errorf("the other replica says %q\n%s", second.Header.Get("cache-status"), second.Body)
	}
	if n := len(upstream.Requests()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
	redis.stop(t)
	for range 3 {
		if got := ask(one, "shared"); got.Status != http.StatusOK || got.Body != first.Body {
			t.Errorf("without Redis: %d %s", got.Status, got.Body)
		}
	}
	redis.start(t)
	eventually(t, "the cache is used again", func() bool {
		return strings.HasPrefix(ask(two, "shared").Header.Get("cache-status"), "tollgate; hit")
	})
}
