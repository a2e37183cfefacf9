package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/test/mock"
	"tollgate/test/mock/mocktest"
)

// TestStuckDisk: 500 streams at once while the chat log's disk does not answer at all (a pipe that
// nobody reads). No client is slowed down or cut off, and neither process grows beyond bounds.
func TestStuckDisk(t *testing.T) {
	const streams, events = 500, 100
	url, _ := mocktest.Start(t, mock.Options{Keys: []string{upstreamKey}})
	g := newGateway(t)
	folder := filepath.Join(g.dir, "Log", "openai", "chat")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(folder, "chat.log")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	g.write(t, "tollgate.yaml", g.addresses+oneRoute(url)+"chat_log: {}\ntelemetry: {usage: true}\n")
	g.args = []string{"run"}
	g.start(t)
	through, direct := side{g.url, clientKey}, side{url, upstreamKey}
	want := direct.ask(t, "hello", true, header{"mock-events", strconv.Itoa(events)})

	before := [2]int{g.memory(t, "serve"), g.memory(t, "envoy")}
	for _, round := range []string{"first", "second"} {
		slowest := g.manyAsk(t, through, want.Body, streams, events)
		t.Logf("%s round: %d streams of %d events 10 ms apart, the slowest took %s; MiB of serve and Envoy before %v, now [%d %d]",
			round, streams, events, slowest, before, g.memory(t, "serve"), g.memory(t, "envoy"))
	}
	if after := g.memory(t, "serve"); after > before[0]+400 {
		t.Errorf("serve grew from %d to %d MiB", before[0], after)
	}
	if after := g.memory(t, "envoy"); after > before[1]+400 {
		t.Errorf("Envoy grew from %d to %d MiB", before[1], after)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // lets the writer go on, so that the gateway can end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	drained := make([]byte, 1<<20)
	go func() {
		for {
			if _, err := reader.Read(drained); err != nil {
				return
			}
		}
	}()
}

// manyAsk runs streams at once, each of which must come whole, and gives the longest that one took.
func (g *gateway) manyAsk(t *testing.T, through side, want string, streams, events int) time.Duration {
	t.Helper()
	var clients sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	for range streams {
		clients.Go(func() {
			began := time.Now()
			got := through.ask(t, "hello", true, header{"mock-events", strconv.Itoa(events)}, header{"mock-interval", "10ms"})
			if got.Status != http.StatusOK || got.Body != want || got.Err != "" {
				t.Errorf("a client got %d, %d bytes of %d, then %q", got.Status, len(got.Body), len(want), got.Err)
			}
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, time.Since(began))
		})
	}
	clients.Wait()
	return slowest
}

// memory is what a child holds, in MiB.
func (g *gateway) memory(t *testing.T, name string) int {
	t.Helper()
	return g.memoryKiB(t, name) >> 10
}

func (g *gateway) memoryKiB(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.child(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
