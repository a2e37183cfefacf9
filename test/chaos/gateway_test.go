package chaos

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gateway is a `tollgate run`.
type gateway struct {
	t       *testing.T
	dir     string
	admin   string
	runtime string // where its sockets are
	output  output

	mu      sync.Mutex
	process *os.Process
	died    chan error
}

func newGateway(t *testing.T, dir, admin string) *gateway {
	t.Helper()
	runtime, err := os.MkdirTemp("", "tgchaos") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(runtime) })
	g := &gateway{t: t, dir: dir, admin: admin, runtime: runtime}
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("tollgate said:\n%s", g.output.telling())
		}
	})
	return g
}

// start runs tollgate until it is ready, again and again if need be, as an init system does: its configuration may
// be one of those that cannot be used.
func (g *gateway) start() {
	for deadline := time.Now().Add(patience); ; {
		died := g.run()
		err := g.ready(died)
		if err == nil {
			return
		}
		if time.Now().After(deadline) || g.t.Context().Err() != nil {
			g.t.Errorf("%v\n%s", err, g.output.telling())
			return
		}
	}
}

// run starts tollgate. How it ends comes from the channel, over and over.
func (g *gateway) run() chan error {
	program := os.Getenv("TOLLGATE_BIN")
	if program == "" {
		program = filepath.Join("..", "..", "bin", "tollgate")
	}
	program, err := filepath.Abs(program)
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.Command(program, "run")
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.dir, &g.output, &g.output
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+g.runtime)
	if err := cmd.Start(); err != nil {
		g.t.Fatalf("starting tollgate: %v: run `make build`, or set TOLLGATE_BIN", err)
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.process, g.died = cmd.Process, died
	return died
}

// ready waits until all of it answers.
func (g *gateway) ready(died chan error) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	deadline := time.After(patience)
	for {
		response, err := client.Get(g.admin + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-died:
			died <- err
			return errors.Join(errors.New("tollgate ended before it was ready"), err)
		case <-deadline:
			return errors.New("tollgate does not become ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends it as an operator does, and wants it to end well.
func (g *gateway) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.process.Signal(syscall.SIGTERM); err != nil {
		g.t.Error(err)
	}
	select {
	case err := <-g.died:
		g.died <- err
		if err != nil {
			g.t.Errorf("tollgate did not end well: %v", err)
		}
	case <-time.After(patience):
		g.t.Error("tollgate does not end")
	}
}

// kill ends the supervisor as `kill -9` does, and waits until its children are gone as well.
func (g *gateway) kill() {
	children := []int{g.child("serve"), g.child("envoy")}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process == nil {
		return
	}
	_ = g.process.Kill() // gone already is as good
	err := <-g.died
	g.died <- err
	deadline := time.Now().Add(patience)
	for _, pid := range children {
		for pid > 0 && !gone(pid) {
			if time.Now().After(deadline) {
				g.t.Error("a child outlives its supervisor")
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}
}

// renew asks it for a newer serve.
func (g *gateway) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.process.Signal(syscall.SIGUSR2); err != nil {
		g.t.Error(err)
	}
}

// child finds a child process by its name, serve or envoy; 0: there is none now. Of several it is the youngest.
func (g *gateway) child(name string) (youngest int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process == nil {
		return 0
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(g.process.Pid) || fields[0] == "Z" {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		isServe := strings.HasPrefix(string(command[bytes.IndexByte(command, 0)+1:]), "serve")
		if len(command) > 0 && isServe == (name == "serve") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			youngest = max(youngest, pid)
		}
	}
	return youngest
}

// gone tells whether a process has ended; one that nobody has waited for yet has.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return len(fields) > 0 && fields[0] == "Z"
}

// output collects what a process says while others may read it.
type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

// telling leaves out what there is a line of for each call.
func (o *output) telling() string {
	var lines []string
	for line := range strings.Lines(o.String()) {
		if !strings.Contains(line, `"logger":"calls"`) && !strings.Contains(line, `"logger":"envoy.ext_proc"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
