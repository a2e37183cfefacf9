package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestOverload: where what clients do not read would take more memory than Envoy may have, new requests are refused at
// once.
func TestOverload(t *testing.T) {
	f := newFlood(t, 24<<20, "", protocol(false))
	eventually(t, "new requests are refused", func() bool { return f.ask(t, 8, "Envoy") > 0 })
	f.bounded(t)
}

// TestOverloadByCache: answers from the cache, which Envoy takes as fast as it gets them, are refused before there are
// more than it can hold; what others ask for is served meanwhile, and those who do not read are cut, so that there is
// room again although none of them leaves.
func TestOverloadByCache(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2:%t", two), func(t *testing.T) {
			f := newFlood(t, 64<<20, "cache: {}\ncache_store: {max_entry_bytes: 16777216}\n", protocol(two))
			alice := side{f.url, clientKey}
			whole := alice.do(t, f.large())
			alice.hit(t, f.large)
			refused, others := 0, 0
			for began := time.Now(); time.Since(began) < 20*time.Second; {
				refused += f.ask(t, 40, "Tollgate", "Envoy")
				f.bounded(t)
				if got := alice.do(t, asks("one", "")); got.Status != http.StatusOK {
					got.isError(t, http.StatusServiceUnavailable, "overloaded", "Envoy")
					others++
				}
			}
			t.Logf("%d answers were not read, %d refused; of others %d", f.begun.Load(), refused, others)
			if refused == 0 || f.begun.Load() < 3 {
				t.Errorf("%d were refused, %d were not", refused, f.begun.Load())
			}
			eventually(t, "who reads gets a large answer", func() bool {
				got := alice.do(t, f.large())
				return got.Status == http.StatusOK && got.Body == whole.Body
			})
		})
	}
}

// TestOverloadByFollowers: neither does a call that many share, and do not read, take more than Envoy can hold.
func TestOverloadByFollowers(t *testing.T) {
	f := newFlood(t, 64<<20, "cache: {}\ncache_store: {max_entry_bytes: 16777216}\n", protocol(false))
	for i := range 2 {
		f.asked = fmt.Sprint("all the same, ", i)
		refused := f.ask(t, 40, "Tollgate", "Envoy")
		t.Logf("%d answers were not read, %d refused", f.begun.Load(), refused)
		f.boundedFor(t, 3*time.Second)
	}
	if f.begun.Load() < 40 {
		t.Errorf("%d answers began: this shows nothing", f.begun.Load())
	}
	began := time.Now()
	eventually(t, "others are served again", func() bool {
		out, err := side{f.url, clientKey}.outgoing(t.Context(), asks("one", ""))
		if err != nil {
			t.Fatal(err)
		}
		response, err := f.client.Do(out)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	t.Logf("others were served again after %s", time.Since(began))
}

// flood is clients who ask for answers of 13 MB and do not read them.
type flood struct {
	*gateway

	heap   int // bytes that Envoy may have
	client *http.Client
	begun  atomic.Int64 // answers that nobody reads
	asked  string       // what is asked for
}

func newFlood(t *testing.T, heap int, more string, protocols *http.Protocols) *flood {
	t.Helper()
	if !fully() {
		t.Skip("it fills Envoy's memory, beside which other tests would wait too long: make abuse runs it")
	}
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	f := &flood{gateway: newGateway(t), heap: heap, client: newClient(t)}
	f.client.Transport.(*http.Transport).Protocols = protocols
	f.write(t, "tollgate.yaml", f.addresses+oneRoute(url)+more)
	f.args = []string{"run", "--max-heap", strconv.Itoa(heap)}
	f.start(t)
	return f
}

func (f *flood) large() request {
	return post("/v1/chat/completions", question(f.asked, true), header{"mock-events", "60000"}, header{"mock-delay", "500ms"})
}

// ask has so many clients ask at once, of which each reads no more than the head, and returns how many were refused, with whose
// name.
func (f *flood) ask(t *testing.T, clients int, names ...string) (refused int) {
	t.Helper()
	refusals := make(chan seen, clients)
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			out, err := side{f.url, clientKey}.outgoing(t.Context(), f.large())
			if err != nil {
				t.Error(err)
				return
			}
			response, err := f.client.Do(out)
			if err != nil {
				return // it was among those that held most
			}
			if response.StatusCode == http.StatusOK {
				f.begun.Add(1)
				t.Cleanup(func() { _ = response.Body.Close() })
				return
			}
			defer func() { _ = response.Body.Close() }()
			if body, err := io.ReadAll(response.Body); err == nil {
				refusals <- seen{Status: response.StatusCode, Header: response.Header, Body: string(body)}
			}
		})
	}
	asking.Wait()
	close(refusals)
	for got := range refusals {
		refused++
		name := names[0]
		if len(names) > 1 && strings.Contains(got.Body, names[1]) {
			name = names[1]
		}
		got.isError(t, http.StatusServiceUnavailable, "overloaded", name)
		if got.Header.Get("retry-after") == "" {
			t.Errorf("it does not say when to come back: %v", got.Header)
		}
	}
	return refused
}

// boundedFor looks again and again.
func (f *flood) boundedFor(t *testing.T, while time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < while; {
		f.bounded(t)
	}
}

// bounded looks at Envoy's memory: its heap, and what it has beside that.
func (f *flood) bounded(t *testing.T) {
	t.Helper()
	if has := f.memory(t, "envoy"); has > f.heap>>20+150 {
		t.Fatalf("Envoy has %d MiB, and may have a heap of %d", has, f.heap>>20)
	}
}

func protocol(two bool) *http.Protocols {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	return protocols
}
