package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tollgate/test/mock/mocktest"
)

// gateway is a `tollgate run` of a test.
type gateway struct {
	url       string // for clients
	admin     string // for operators
	dir       string // where it runs, and its tollgate.yaml is
	addresses string // the part of tollgate.yaml that says where it listens
	args      []string
	env       []string // beside this process's own

	output  *output
	process *os.Process
	died    chan error // how it ended, once
	ended   bool       // whether that was taken
}

// launch runs tollgate with a configuration that names no addresses, and waits until it is ready.
func launch(t *testing.T, yaml string) *gateway {
	t.Helper()
	g := newGateway(t)
	g.write(t, "tollgate.yaml", g.addresses+yaml)
	g.args = []string{"run", "--config", "tollgate.yaml"}
	g.start(t)
	return g
}

// newGateway chooses where a gateway runs and listens.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	listen, admin := mocktest.FreeAddress(t), mocktest.FreeAddress(t)
	return &gateway{
		url:       "http://" + listen,
		admin:     "http://" + admin,
		dir:       t.TempDir(),
		addresses: fmt.Sprintf("listener: {address: %q}\nadmin: {address: %q}\n", listen, admin),
		output:    new(output),
		died:      make(chan error, 1),
	}
}

// write puts a file into the gateway's directory.
func (g *gateway) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs tollgate and waits until it is ready.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.spawn(t)
	g.awaitReady(t)
}

// spawn runs tollgate. At the end of the test it must stop in time; its output shows if the test failed.
func (g *gateway) spawn(t *testing.T) {
	t.Helper()
	cmd := g.command(t)
	cmd.Stdout, cmd.Stderr = g.output, g.output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting tollgate: %v", err)
	}
	g.process = cmd.Process
	go func() { g.died <- cmd.Wait() }()
	t.Cleanup(func() {
		if !g.ended && g.process == cmd.Process {
			stop(t, g.process, g.died)
		}
		if t.Failed() {
			t.Logf("tollgate said:\n%s", g.output)
		}
	})
}

func (g *gateway) awaitReady(t *testing.T) {
	t.Helper()
	if err := awaitReady(g.admin+"/readyz", g.died); err != nil {
		g.ended = strings.Contains(err.Error(), "ended")
		t.Fatal(err)
	}
}

// command is tollgate in the gateway's directory.
func (g *gateway) command(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t), g.args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), g.env...)
	return cmd
}

// await waits until the gateway has said something that many times.
func (g *gateway) await(t *testing.T, said string, times int) {
	t.Helper()
	eventually(t, "the gateway says "+said, func() bool { return strings.Count(g.output.String(), said) >= times })
}

// child finds a child process by its name: serve or envoy. Of several it is the youngest.
func (g *gateway) child(t *testing.T, name string) int {
	t.Helper()
	pid := 0
	eventually(t, "there is a process "+name, func() bool {
		for _, child := range g.children() {
			if child.name == name {
				pid = max(pid, child.pid)
			}
		}
		return pid != 0
	})
	return pid
}

// serving are the processes `tollgate serve`.
func (g *gateway) serving() []int {
	var pids []int
	for _, child := range g.children() {
		if child.name == "serve" {
			pids = append(pids, child.pid)
		}
	}
	return pids
}

type childProcess struct {
	name string
	pid  int
}

// children are the processes that tollgate has started.
func (g *gateway) children() []childProcess {
	var children []childProcess
	parent := strconv.Itoa(g.process.Pid)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != parent {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if len(command) == 0 {
			continue // it has ended
		}
		name := "envoy"
		if strings.HasPrefix(string(command[strings.IndexByte(string(command), 0)+1:]), "serve") {
			name = "serve"
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		children = append(children, childProcess{name, pid})
	}
	return children
}

// kill ends the supervisor as `kill -9` does.
func (g *gateway) kill(t *testing.T) {
	t.Helper()
	if err := g.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-g.died; err == nil {
		t.Error("tollgate was killed and says that it ended well")
	}
	g.ended = true
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
