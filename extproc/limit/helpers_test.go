package limit

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	Quiet()
	os.Exit(m.Run())
}

// A fakeClock moves when told to.
type fakeClock struct{ micros atomic.Int64 }

func newClock() *fakeClock {
	c := &fakeClock{}
	c.micros.Store(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *fakeClock) Now() time.Time          { return time.UnixMicro(c.micros.Load()) }
func (c *fakeClock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// onEach runs a test on every backend, with a clock of its own.
func onEach(t *testing.T, test func(t *testing.T, store Store, clock *fakeClock)) {
	t.Run("memory", func(t *testing.T) {
		clock := newClock()
		test(t, NewMemory(MemoryOptions{Clock: clock.Now}), clock)
	})
	t.Run("redis", func(t *testing.T) {
		clock := newClock()
		test(t, startRedis(t).store(t, RedisOptions{clock: clock.Now}), clock)
	})
}

// A server is a redis-server of a test's own.
type server struct {
	port, socket string
	args         []string
	cmd          *exec.Cmd
	admin        *redis.Client
}

// startRedis starts a server that ends with the test.
func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{port: freePort(t)}
	dir, err := os.MkdirTemp("", "redis") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.socket = filepath.Join(dir, "s")
	s.args = append([]string{
		"--port", s.port, "--bind", "127.0.0.1", "--unixsocket", s.socket, "--dir", dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning",
	}, args...)
	s.admin = redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	t.Cleanup(func() { _ = s.admin.Close() })
	s.start(t)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	require.NoError(t, err, "there is no redis-server on PATH: run `make test-tools`, or apt-get install redis-server")
	s.cmd = exec.Command(program, s.args...)
	var output bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &output, &output
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.kill(t); t.Failed() {
			t.Logf("redis-server %v\n%s", s.args, output.String())
		}
	})
	require.Eventually(t, func() bool { return s.admin.Ping(context.Background()).Err() == nil }, 10*time.Second, 5*time.Millisecond)
}

func (s *server) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(signal))
}

func (s *server) kill(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	s.signal(t, syscall.SIGKILL)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// store returns a client of the server.
func (s *server) store(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	if o.URL == "" {
		o.URL = "redis://127.0.0.1:" + s.port
	}
	r, err := NewRedis(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// per makes a charge.
func per(key string, strategy Strategy, count uint64, window time.Duration, cost uint64) Charge {
	return Charge{Key: key, Rate: Rate{Count: count, Window: window}, Strategy: strategy, Cost: cost}
}

func reserve(t testing.TB, s Store, charges ...Charge) Outcome {
	t.Helper()
	out, err := s.Reserve(t.Context(), charges)
	require.NoError(t, err)
	return out
}

func settle(t testing.TB, s Store, out Outcome, charge Charge, used uint64) {
	t.Helper()
	a, ok := out.Adjust(0, charge, used)
	require.True(t, ok)
	require.NoError(t, s.Settle(t.Context(), []Adjustment{a}))
}

// left returns what a Check says remains.
func left(t testing.TB, s Store, charge Charge) uint64 {
	t.Helper()
	charge.Cost = 0
	out, err := s.Check(t.Context(), []Charge{charge})
	require.NoError(t, err)
	return out.Decisions[0].Remaining
}

func strategies() []Strategy { return []Strategy{FixedWindow, ElasticWindow, MovingWindow} }
