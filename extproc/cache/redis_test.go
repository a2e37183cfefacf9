package cache

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// redisServer is a redis-server of a test's own, on a socket.
type redisServer struct {
	dir, socket string
	cmd         *exec.Cmd
	admin       *redis.Client
}

// startRedis starts a server that ends with the test.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &redisServer{dir: dir, socket: filepath.Join(dir, "s")}
	s.admin = redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	t.Cleanup(func() { _ = s.admin.Close() })
	s.start(t)
	return s
}

func (s *redisServer) url() string { return "unix://" + s.socket }

func (s *redisServer) start(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	require.NoError(t, err, "there is no redis-server on PATH: run `make test-tools`, or apt-get install redis-server")
	s.cmd = exec.Command(program, "--port", "0", "--unixsocket", s.socket, "--dir", s.dir, "--save", "", "--appendonly", "no", "--loglevel", "warning")
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	require.Eventually(t, func() bool { return s.admin.Ping(context.Background()).Err() == nil }, 10*time.Second, 5*time.Millisecond)
}

func (s *redisServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func newRedis(t testing.TB, s *redisServer, clock *fakeClock) *Redis {
	t.Helper()
	r, err := NewRedis(s.url(), testEntry, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	r.now, r.breaker.now = clock.Now, clock.Now
	return r
}

// The server forgets what has expired by itself.
func TestRedisExpires(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	r, err := NewRedis(server.url(), testEntry, nil)
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	now := time.Now()
	put(t, r, number(1), entryOf(now, 10))
	ttl, err := server.admin.PTTL(t.Context(), redisKey(number(1))).Result()
	require.NoError(t, err)
	require.Greater(t, ttl, 59*time.Minute)
	require.LessOrEqual(t, ttl, time.Hour)

	short := entryOf(now, 10)
	short.Expires = time.Now().Add(50 * time.Millisecond)
	put(t, r, number(2), short)
	require.Eventually(t, func() bool { return server.admin.Exists(t.Context(), redisKey(number(2))).Val() == 0 }, 10*time.Second, 5*time.Millisecond)
}

// What is under a key and is not its entry is no entry, and what others keep there stays.
func TestRedisHoldsOther(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server := startRedis(t)
	r := newRedis(t, server, clock)
	encoded := encode(number(1), entryOf(clock.Now(), 2000))
	for _, value := range [][]byte{{}, []byte("x"), encoded[:len(encoded)-1], append([]byte{'0'}, encoded[1:]...)} {
		require.NoError(t, server.admin.Set(t.Context(), redisKey(number(1)), value, 0).Err())
		require.Nil(t, get(t, r, number(1)))
	}
	require.NoError(t, server.admin.Set(t.Context(), redisKey(number(2)), encoded, 0).Err())
	require.Nil(t, get(t, r, number(2)), "another key's")

	require.NoError(t, server.admin.Set(t.Context(), "tollgate:cached", "x", 0).Err())
	require.NoError(t, r.Purge(t.Context()))
	require.Equal(t, []string{"tollgate:cached"}, server.admin.Keys(t.Context(), "*").Val())
	require.Zero(t, stats(t, r).Entries)
	require.EqualValues(t, -1, stats(t, r).Bytes)
}

// A list under the key is an error of the server's, not of the way there.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server := startRedis(t)
	r := newRedis(t, server, clock)
	put(t, r, number(1), entryOf(clock.Now(), 10))
	require.NoError(t, server.admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.ErrorContains(t, r.Put(t.Context(), number(2), entryOf(clock.Now(), 10)), "OOM")
	require.NotNil(t, get(t, r, number(1)), "it can be read all the same")
}

// changes is what a watcher heard.
type changes struct {
	mu    sync.Mutex
	heard []bool
}

func (c *changes) hear(up bool, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, up)
}

func (c *changes) all() []bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]bool(nil), c.heard...)
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server := startRedis(t)
	r := newRedis(t, server, clock)
	heard := &changes{}
	r.breaker.onChange = heard.hear
	put(t, r, number(1), entryOf(clock.Now(), 10))

	server.kill()
	for range 3 {
		_, err := r.Get(t.Context(), number(1))
		require.Error(t, err)
	}
	require.ErrorContains(t, r.Put(t.Context(), number(1), entryOf(clock.Now(), 10)), "not asked again yet")
	require.Equal(t, []bool{false}, heard.all())

	server.start(t)
	_, err := r.Get(t.Context(), number(1))
	require.ErrorContains(t, err, "not asked again yet")
	clock.Advance(retryAfter)
	require.Nil(t, get(t, r, number(1)))
	require.Equal(t, []bool{false, true}, heard.all())
}

// Where Redis takes connections and says nothing, one call waits for it, and no other.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	asked := make(chan struct{}, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			asked <- struct{}{}
		}
	}()
	r, err := NewRedis("redis://"+listener.Addr().String()+"?read_timeout=20ms", testEntry, nil)
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	clock := newClock()
	r.breaker.now = clock.Now
	for range 100 {
		_, err := r.Get(t.Context(), number(1))
		require.Error(t, err)
	}
	require.Len(t, asked, 1)
	clock.Advance(retryAfter)
	_, err = r.Get(t.Context(), number(1))
	require.Error(t, err)
	require.Len(t, asked, 2)
}

// A client that hangs up says nothing about Redis.
func TestRedisNotWaitedFor(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := newRedis(t, startRedis(t), clock)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Get(gone, number(1))
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, get(t, r, number(1)))
}
