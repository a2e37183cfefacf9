package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestKilledSupervisorLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd, r := startSupervisor(t)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	heard := map[string]bool{r.next(): true, r.next(): true}
	if !heard["first hears terminated"] || !heard["second hears terminated"] {
		t.Errorf("got the reports %v, want both children to hear of it", heard)
	}
	r.nobody()
	_ = cmd.Wait()
}

// TestChildOutlivesThread: the kernel ends children with the thread that started them, and Go ends
// threads as it likes.
func TestChildOutlivesThread(t *testing.T) {
	t.Parallel()
	r := newReports(t)
	var started *process
	var err error
	thread := onThreadThatEnds(func() { started, err = role("one", "stay", r.write).start() })
	if err != nil {
		t.Fatal(err)
	}
	pid := r.up()
	awaitNoThread(t, thread)
	_ = syscall.Kill(pid, syscall.SIGUSR1)
	r.expect("one hears user defined signal 1")
	_ = syscall.Kill(pid, syscall.SIGTERM)
	r.expect("one hears terminated")
	<-started.died
	r.nobody()
}

// onThreadThatEnds runs f on a thread that ends after it, and gives the thread's id.
func onThreadThatEnds(f func()) int {
	id := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if syscall.Gettid() == os.Getpid() {
			id <- onThreadThatEnds(f) // the main thread does not end; while it waits here, another is found
			runtime.UnlockOSThread()
			return
		}
		f()
		id <- syscall.Gettid()
	}()
	return <-id
}

// awaitNoThread returns when the thread is gone.
func awaitNoThread(t *testing.T, id int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", id)); os.IsNotExist(err) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the thread does not end")
		}
	}
}
