package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// The children are this test program, in a role; roleVariable says which, and the name they report
// by. They report on one pipe, whose end says more than any list of processes: nobody is left.
const (
	roleVariable = "TOLLGATE_TEST_ROLE"
	nameVariable = "TOLLGATE_TEST_NAME"

	patience = 20 * time.Second // longer than stopWithin
)

// TestRole is no test, but what a child does. None outlives a test that failed to end it for long.
func TestRole(*testing.T) {
	name, mine := os.Getenv(nameVariable), os.Getenv(roleVariable)
	if mine != "" {
		time.AfterFunc(2*patience, func() { os.Exit(4) })
	}
	switch mine {
	case "cannot":
		os.Exit(cannotServe)
	case "crash":
		fmt.Println(name, "up", os.Getpid())
		os.Exit(3)
	case "stay":
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGTERM, syscall.SIGUSR1)
		fmt.Println(name, "up", os.Getpid())
		for s := <-heard; s != syscall.SIGTERM; s = <-heard {
			fmt.Println(name, "hears", s)
		}
		fmt.Println(name, "hears", syscall.SIGTERM)
		os.Exit(0)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println(name, "up", os.Getpid())
		select {}
	case "supervise":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := supervise(ctx, zap.NewNop(), role("first", "stay", os.Stdout), role("second", "stay", os.Stdout)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// role is a child of this test program.
func role(name, role string, reports *os.File) child {
	return child{name: name, command: func() (*exec.Cmd, error) {
		cmd, err := self("-test.run=^TestRole$")
		if err != nil {
			return nil, err
		}
		cmd.Env = append(os.Environ(), roleVariable+"="+role, nameVariable+"="+name)
		cmd.Stdout = reports
		return cmd, nil
	}}
}

// reports is the pipe that children write to.
type reports struct {
	t     *testing.T
	read  *os.File
	lines *bufio.Reader
	write *os.File
}

func newReports(t *testing.T) *reports {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	return &reports{t: t, read: read, lines: bufio.NewReader(read), write: write}
}

// next is the next report.
func (r *reports) next() string {
	r.t.Helper()
	if err := r.read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	line, err := r.lines.ReadString('\n')
	if err != nil {
		r.t.Fatalf("waiting for a report: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// expect fails unless the next report is this one.
func (r *reports) expect(want string) {
	r.t.Helper()
	if got := r.next(); got != want {
		r.t.Fatalf("got the report %q, want %q", got, want)
	}
}

// up waits for the child "one" to start, and gives its process id.
func (r *reports) up() int {
	r.t.Helper()
	line := r.next()
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "one up "))
	if err != nil {
		r.t.Fatalf("got the report %q, want: one up", line)
	}
	return pid
}

// nobody fails unless every process that could report is gone, without another word.
func (r *reports) nobody() {
	r.t.Helper()
	_ = r.write.Close()
	if err := r.read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if rest, err := io.ReadAll(r.lines); err != nil || len(rest) > 0 {
		r.t.Fatalf("want the end of all children; got %q, %v", rest, err)
	}
}

// supervised runs supervise beside the test. stop ends it and gives what it returned.
func supervised(t *testing.T, children ...child) (stop func() error, log *observer.ObservedLogs) {
	t.Helper()
	core, log := observer.New(zap.DebugLevel)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- supervise(ctx, zap.New(core), children...) }()
	return func() error {
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(patience):
			return errors.New("it does not return")
		}
	}, log
}

// deaths is how children died, as the log says it.
func deaths(log *observer.ObservedLogs) []string {
	var deaths []string
	for _, entry := range log.FilterFieldKey("how").All() {
		fields := entry.ContextMap()
		deaths = append(deaths, fmt.Sprint(fields["process"], ": ", fields["how"]))
	}
	return deaths
}

func TestChildThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	stop, log := supervised(t, role("one", "stay", r.write))
	killed := r.up()
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if again := r.up(); again == killed {
		t.Errorf("process %d was started again as itself", again)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("one hears terminated")
	r.nobody()
	if got := fmt.Sprint(deaths(log)); got != "[one: signal: killed]" {
		t.Errorf("the log says %s", got)
	}
}

func TestChildThatKeepsDying(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	stop, log := supervised(t, role("one", "crash", r.write))
	for range 4 {
		r.up()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.nobody()
	var pauses []time.Duration
	for _, entry := range log.FilterFieldKey("how").All()[:3] {
		pauses = append(pauses, entry.ContextMap()["in"].(time.Duration))
	}
	if got := fmt.Sprint(pauses); got != "[100ms 200ms 400ms]" {
		t.Errorf("the pauses were %s", got)
	}
	if got := deaths(log)[0]; got != "one: exit status 3" {
		t.Errorf("the log says %q", got)
	}
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	stop, log := supervised(t, role("one", "stubborn", r.write))
	r.up()
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.nobody()
	if log.FilterLevelExact(zap.WarnLevel).Len() != 1 {
		t.Errorf("the log does not say it: %v", log.All())
	}
}

func TestProgramThatIsMissing(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	missing := child{name: "missing", command: func() (*exec.Cmd, error) { return exec.Command("/nonexistent/envoy"), nil }}
	err := supervise(t.Context(), zap.NewNop(), role("one", "stay", r.write), missing)
	if err == nil || !strings.Contains(err.Error(), "starting missing: ") {
		t.Errorf("got %v, want what could not be started", err)
	}
}

// TestChildThatCannotBeRun: what a start finds wrong is said once, and not tried again and again. Nothing is drained:
// nobody was served.
func TestChildThatCannotBeRun(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	drains := role("one", "stay", r.write)
	drains.drain = func(context.Context) { t.Error("a child is drained that has served nobody") }
	err := supervise(t.Context(), zap.NewNop(), drains, role("two", "cannot", r.write))
	if err == nil || !strings.Contains(err.Error(), "two cannot be run") {
		t.Errorf("got %v, want who cannot be run", err)
	}
}

// renewed is the child "one", in a role for each of its processes, the last for all that follow. renew asks for the
// next.
func renewed(r *reports, roles ...string) (c child, renew func()) {
	asked := make(chan os.Signal, 1)
	started := 0
	return child{name: "one", renew: asked, command: func() (*exec.Cmd, error) {
		mine := roles[min(started, len(roles)-1)]
		started++
		return role("one", mine, r.write).command()
	}}, func() { asked <- syscall.SIGUSR2 }
}

// TestRenew: a process that is to take over runs beside the present one, and a stop ends both.
func TestRenew(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	one, renew := renewed(r, "stay")
	stop, log := supervised(t, one)
	first := r.up()
	renew()
	if second := r.up(); second == first {
		t.Errorf("the new process is the old one, %d", first)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("one hears terminated")
	r.expect("one hears terminated")
	r.nobody()
	if got := deaths(log); got != nil {
		t.Errorf("the log says %s", got)
	}
}

// TestRenewThatCannot: the present process goes on where the new one cannot take over, and is watched as before.
func TestRenewThatCannot(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	one, renew := renewed(r, "stay", "cannot", "stay")
	stop, log := supervised(t, one)
	first := r.up()
	renew()
	for deadline := time.After(patience); log.FilterMessageSnippet("the one before goes on").Len() == 0; {
		select {
		case <-deadline:
			t.Fatal("it is not said that the new process cannot take over")
		case <-time.After(time.Millisecond):
		}
	}
	_ = syscall.Kill(first, syscall.SIGKILL)
	if again := r.up(); again == first {
		t.Errorf("process %d was started again as itself", first)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("one hears terminated")
	r.nobody()
}

// TestDeathAfterRenew: where a process dies that has taken over, and the next cannot be run, another is started: the one
// before, which is ending, does not go on.
func TestDeathAfterRenew(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	one, renew := renewed(r, "stay", "stay", "cannot", "stay")
	stop, _ := supervised(t, one)
	first := r.up()
	renew()
	second := r.up()
	_ = syscall.Kill(second, syscall.SIGKILL) // the third cannot be run
	if fourth := r.up(); fourth == first || fourth == second {
		t.Errorf("process %d was started again as itself", fourth)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("one hears terminated")
	r.expect("one hears terminated")
	r.nobody()
}

// TestDrainComesFirst: a child is asked to end when its drain is over, or when it has died in it.
func TestDrainComesFirst(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	draining, drained := make(chan struct{}), make(chan struct{})
	drains := role("one", "stay", r.write)
	drains.drain = func(context.Context) { close(draining); <-drained }
	stop, _ := supervised(t, drains)
	pid := r.up()
	result := make(chan error)
	go func() { result <- stop() }()
	<-draining
	_ = syscall.Kill(pid, syscall.SIGUSR1)
	r.expect("one hears user defined signal 1") // and nothing before
	close(drained)
	r.expect("one hears terminated")
	if err := <-result; err != nil {
		t.Error(err)
	}
	r.nobody()
}

func TestDrainEndsWithItsChild(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	dies := role("one", "stay", r.write)
	draining := make(chan struct{})
	dies.drain = func(ctx context.Context) { close(draining); <-ctx.Done() }
	stop, _ := supervised(t, dies)
	pid := r.up()
	go func() { <-draining; _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.nobody()
}

// startSupervisor runs the supervisor as a process of its own, with both its children up.
func startSupervisor(t *testing.T) (*exec.Cmd, *reports) {
	t.Helper()
	r := newReports(t)
	cmd, err := role("supervisor", "supervise", r.write).command()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for range 2 { // in any order
		if line := r.next(); !strings.Contains(line, " up ") {
			t.Fatalf("got the report %q, want a child that is up", line)
		}
	}
	return cmd, r
}

func TestSupervisorStopsOnSignal(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			cmd, r := startSupervisor(t)
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			r.expect("first hears terminated")
			r.expect("second hears terminated")
			r.nobody()
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
