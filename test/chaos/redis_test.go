package chaos

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// redis is a real Redis that forgets all when it ends.
type redis struct {
	t            *testing.T
	address, dir string
	process      *os.Process
	died         chan struct{}
}

func (r *redis) start() {
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--databases", "2", "--dir", r.dir)
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("starting Redis: %v: run `make test-tools`", err)
	}
	died := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(died)
	}()
	r.process, r.died = cmd.Process, died
	for !r.listens() {
		select {
		case <-died:
			r.t.Error("Redis ended")
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *redis) listens() bool {
	connection, err := net.DialTimeout("tcp", r.address, time.Second)
	return err == nil && connection.Close() == nil
}

func (r *redis) kill() {
	_ = r.process.Kill() // gone already is as good
	<-r.died
}

func (r *redis) signal(s syscall.Signal) {
	if err := r.process.Signal(s); err != nil {
		r.t.Error(err)
	}
}

// flush has it forget all. One that does not answer now does so later.
func (r *redis) flush(ctx context.Context) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "FLUSHALL\r\n"); err != nil {
		return
	}
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.ReadFull(connection, make([]byte, len("+OK\r\n")))
}
