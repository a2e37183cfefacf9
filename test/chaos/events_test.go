package chaos

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// happen makes an event happen, waits until what it touched works again, and notes the trouble.
func (w *world) happen(e *Event) {
	w.targets[e.Target()].Lock()
	defer w.targets[e.Target()].Unlock()
	t := Trouble{Event: e, From: w.now()}
	switch e.Kind {
	case ServeKilled:
		w.died("serve")
	case EnvoyKilled:
		w.died("envoy")
	case AllKilled:
		w.tally()
		w.gateway.kill()
		w.gateway.start()
	case ServeRenewed:
		w.renew()
	case ServeStopped:
		w.standStill("serve", e.For)
	case EnvoyStopped:
		w.standStill("envoy", e.For)
	case RedisKilled:
		w.redis.kill()
		w.pause(e.For)
		w.redis.start()
	case RedisStopped:
		w.redis.signal(syscall.SIGSTOP)
		w.pause(e.For)
		w.redis.signal(syscall.SIGCONT)
	case RedisFlushed:
		w.redis.flush(w.t.Context())
	case UpstreamDown:
		w.upstreams[e.Upstream].down()
		w.pause(e.For)
		w.upstreams[e.Upstream].up()
	case DiskFull:
		w.fillDisk(e.For)
	case Edited:
		w.edit = e.N
		w.write(w.plan.YAML(&w.places, w.edit))
	case BadEdit:
		w.spoil(e)
	}
	switch e.Target() {
	case "processes":
		w.eventually("requests pass again", w.passes)
	case "Redis":
		w.eventually("limits are counted again", w.counts)
	}
	t.To = w.now()
	w.t.Logf("%v to %v: %v", t.From.Round(time.Millisecond), t.To.Round(time.Millisecond), e)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = append(w.troubles, t)
}

// pause waits.
func (w *world) pause(d time.Duration) { w.await(w.now() + d) }

// died kills a child.
func (w *world) died(child string) {
	w.tally()
	pid := 0
	w.eventually("there is a process "+child, func() bool { pid = w.gateway.child(child); return pid != 0 })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return // it died just now
	}
	w.mu.Lock()
	w.deaths++
	w.mu.Unlock()
	w.eventually("the process is gone", func() bool { return gone(pid) })
}

// renew has a newer serve take over, which no call may notice. It cannot where the configuration is bad just now.
func (w *world) renew() {
	w.tally()
	over := func() int {
		said := w.gateway.output.String()
		return strings.Count(said, "another process has taken over") + strings.Count(said, "the new process cannot take over")
	}
	before := over()
	w.gateway.renew()
	for until := w.now() + 5*time.Second; over() == before && w.now() < until; {
		w.pause(50 * time.Millisecond)
	}
}

// standStill stops a child, and lets it go on.
func (w *world) standStill(child string, d time.Duration) {
	pid := w.gateway.child(child)
	if pid == 0 || syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return
	}
	w.pause(d)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		w.t.Error(err)
	}
}

// fillDisk has files of serve grow no more, as on a disk that is full: what is written is cut in the middle of a
// line, and then nothing is.
func (w *world) fillDisk(d time.Duration) {
	pid := w.gateway.child("serve")
	var before unix.Rlimit
	if pid == 0 || unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &before) != nil {
		return
	}
	full := before
	full.Cur = uint64(w.largestLog() + 100)
	if unix.Prlimit(pid, unix.RLIMIT_FSIZE, &full, nil) != nil {
		return
	}
	w.pause(d)
	_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &before, nil) // it may have died
}

func (w *world) largestLog() (most int64) {
	logs, _ := filepath.Glob(filepath.Join(w.dir, "Log", "*", "*", "*.log"))
	for _, path := range logs {
		if info, err := os.Stat(path); err == nil {
			most = max(most, info.Size())
		}
	}
	return most
}

// spoil puts a configuration in place that cannot be used, and then the last good one again.
func (w *world) spoil(e *Event) {
	good := w.plan.YAML(&w.places, w.edit)
	bad := Spoilt(w.plan.YAML(&w.places, e.N), e.N)
	if bad == "" {
		if err := os.Remove(filepath.Join(w.dir, "tollgate.yaml")); err != nil {
			w.t.Error(err)
		}
	} else {
		w.write(bad)
	}
	w.pause(e.For)
	w.write(good)
}

// counts tells whether requests to a route with limits pass, which says that their store answers.
func (w *world) counts() bool {
	return w.status(w.url("/probe/v1/models"), Key("fk-spare")) == 200
}

// tally adds what a process says it has lost, before it dies.
func (w *world) tally() {
	lost := w.metric("tollgate_chatlog_lost_total")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += lost
}

// metric gives the sum of a metric's series; 0 where nobody answers.
func (w *world) metric(name string) (sum float64) {
	for line := range strings.Lines(w.page(w.gateway.admin+"/metrics", nil)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			n, _ := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			sum += n
		}
	}
	return sum
}
