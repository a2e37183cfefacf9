package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// footprint is what the gateway holds when nobody asks it anything.
type footprint struct {
	goroutines, serveFiles, envoyFiles int
	serveMiB, envoyMiB                 int
}

// footprint waits until all is at rest, and looks.
func (w *world) footprint() (f footprint) {
	w.closeConnections()
	for _, u := range w.upstreams {
		u.down() // with the connections that Envoy keeps for later
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		if err := u.mock.AwaitIdle(ctx); err != nil {
			w.t.Errorf("the upstream %s is at rest: %v", u.name, err)
		}
		cancel()
		u.up()
	}
	w.eventually("no call is in flight", func() bool { return w.metric("tollgate_calls_in_flight") == 0 })
	active := ""
	if !w.eventually("Envoy is at rest", func() bool { active = w.active(); return active == "" }) {
		w.t.Errorf("Envoy has %s", active)
	}
	take := func() footprint {
		return footprint{
			goroutines: int(w.metric("go_goroutines")), serveFiles: w.files("serve"),
			envoyFiles: w.files("envoy"), serveMiB: w.memory("serve"), envoyMiB: w.memory("envoy"),
		}
	}
	// What ends in the background has some seconds for it.
	f = take()
	for last := f; ; last = f {
		w.pause(time.Second)
		if f = take(); f.goroutines >= last.goroutines && f.serveFiles >= last.serveFiles && f.envoyFiles >= last.envoyFiles {
			return f
		}
	}
}

// active is what of Envoy's requests and connections is not over. Those to and from serve stay.
func (w *world) active() string {
	var left []string
	for line := range strings.Lines(w.page("http://envoy/stats?filter=(rq|cx)_active$", w.envoyAdmin())) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		ours := strings.Contains(name, "cluster.tollgate.") || strings.Contains(name, "admin") || strings.Contains(name, "shared") && strings.Contains(name, "_cx_")
		if value != "0" && !ours && (strings.Contains(name, "upstream_rq_active") || strings.Contains(name, "downstream_")) {
			left = append(left, name+": "+value)
		}
	}
	return strings.Join(left, ", ")
}

// files counts a child's file descriptors, but for the files of logs, of which each route has its own from its first
// call on, and those of the cache on disk, of which there are more as it fills.
func (w *world) files(child string) (n int) {
	links, _ := filepath.Glob("/proc/" + strconv.Itoa(w.gateway.child(child)) + "/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && !strings.HasSuffix(to, ".log") && !strings.HasPrefix(to, filepath.Join(w.dir, "answers")) {
			n++
		}
	}
	return n
}

// memory is what a child holds, in MiB.
func (w *world) memory(child string) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(w.gateway.child(child)) + "/status")
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, _ := strconv.Atoi(strings.Fields(after + " 0")[0])
	return kib >> 10
}

// compare says what has grown. Connections between the two processes and the runtime's own goroutines come and
// go by a few; memory that was used once is kept by both.
func (f footprint) compare(t *testing.T, before footprint) {
	t.Helper()
	t.Logf("at rest: %+v, at first: %+v", f, before)
	for what, n := range map[string][3]int{
		"goroutines":     {f.goroutines, before.goroutines, 25},
		"files of serve": {f.serveFiles, before.serveFiles, 12},
		"files of Envoy": {f.envoyFiles, before.envoyFiles, 12},
		"MiB of serve":   {f.serveMiB, before.serveMiB, 200},
		"MiB of Envoy":   {f.envoyMiB, before.envoyMiB, 150},
	} {
		if n[0] == 0 || n[1] == 0 || n[0] > n[1]+n[2] {
			t.Errorf("%s: %d at first, %d at the end", what, n[1], n[0])
		}
	}
}
