package limit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sentinel is a password that no error may show.
const sentinel = "SENTINEL-0123456789"

// Four replicas on one Redis, with eight goroutines each. The times are the server's.
func TestFourOnOneRedis(t *testing.T) {
	s := startRedis(t)
	var stores []Store
	for range 4 {
		stores = append(stores, s.store(t, RedisOptions{}))
	}
	for _, strategy := range strategies() {
		log := hammer(t, stores, strategy, time.Second)
		require.LessOrEqual(t, mostInWindow(strategy, hammerWindow.Microseconds(), log), uint64(hammerCount))
		require.GreaterOrEqual(t, len(log), 3*hammerCount, strategy)
	}
}

func TestRedisKeysExpire(t *testing.T) {
	s := startRedis(t)
	r := s.store(t, RedisOptions{Tag: "a"})
	for _, strategy := range strategies() {
		charge := per("client", strategy, 5, 10*time.Millisecond, 1)
		out := reserve(t, r, charge)
		settle(t, r, out, charge, 3)
		require.Regexp(t, `^\{a\}:client:10000:[efm]$`, s.admin.RandomKey(t.Context()).Val())
		require.Eventually(t, func() bool { return s.admin.DBSize(t.Context()).Val() == 0 }, 10*time.Second, 20*time.Millisecond)
	}
}

func TestRedisCheckWritesNothing(t *testing.T) {
	s := startRedis(t)
	r := s.store(t, RedisOptions{})
	_, err := r.Check(t.Context(), []Charge{per("a", FixedWindow, 5, time.Hour, 1), per("b", MovingWindow, 5, time.Hour, 1)})
	require.NoError(t, err)
	require.Zero(t, s.admin.DBSize(t.Context()).Val())
}

func TestRedisFlushed(t *testing.T) {
	s := startRedis(t)
	r := s.store(t, RedisOptions{})
	for _, strategy := range strategies() {
		charge := per("k", strategy, 2, time.Hour, 2)
		out := reserve(t, r, charge)
		require.False(t, reserve(t, r, charge).Allowed)
		require.NoError(t, s.admin.FlushAll(t.Context()).Err())
		require.NoError(t, s.admin.ScriptFlush(t.Context()).Err())
		require.True(t, reserve(t, r, charge).Allowed, "the script is sent again, and counters begin anew")
		if strategy != MovingWindow {
			settle(t, r, out, charge, 0)
			require.Zero(t, left(t, r, charge), "what was reserved before is not given back")
		}
	}
}

func TestRedisKilled(t *testing.T) {
	s := startRedis(t)
	r := s.store(t, RedisOptions{})
	charge := per("k", MovingWindow, 2, time.Hour, 2)
	require.True(t, reserve(t, r, charge).Allowed)
	s.kill(t)
	_, err := r.Reserve(t.Context(), []Charge{charge})
	require.ErrorIs(t, err, ErrUnavailable)
	s.start(t)
	require.Eventually(t, func() bool {
		_, err := r.Check(t.Context(), nil)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	require.True(t, reserve(t, r, charge).Allowed)
}

// A paused server does not hold requests up for longer than the timeout, and all but one per second
// not at all.
func TestRedisPaused(t *testing.T) {
	s := startRedis(t)
	said := make(chan bool, 9)
	f := &Fallback{
		Primary: s.store(t, RedisOptions{URL: "redis://127.0.0.1:" + s.port + "?read_timeout=100ms"}), Local: NewMemory(MemoryOptions{}),
		OnError: UseLocal, OnChange: func(up bool, _ error) { said <- up }, Retry: 300 * time.Millisecond,
	}
	charge := per("k", FixedWindow, 3, time.Hour, 1)
	require.False(t, reserve(t, f, charge).Local)

	s.signal(t, syscall.SIGSTOP)
	start := time.Now()
	for range 4 {
		require.True(t, reserve(t, f, charge).Local)
	}
	require.Less(t, time.Since(start), 2*time.Second)
	require.False(t, <-said)

	s.signal(t, syscall.SIGCONT)
	require.Eventually(t, func() bool {
		out, err := f.Check(t.Context(), []Charge{charge})
		return err == nil && !out.Local
	}, 10*time.Second, 10*time.Millisecond)
	require.True(t, <-said)
	require.Empty(t, said)
	require.LessOrEqual(t, left(t, f.Primary, charge), uint64(2), "it has kept its counters")
}

// What timed out may have been done: it must not be sent again.
func TestRedisSendsOnce(t *testing.T) {
	for name, cluster := range map[string]bool{"single": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			s := startRedis(t, clusterArgs(cluster)...)
			takeSlots(t, s, cluster)
			r := s.store(t, RedisOptions{Cluster: cluster, URL: "redis://127.0.0.1:" + s.port + "?read_timeout=100ms"})
			charge := per("k", FixedWindow, 10, time.Hour, 1)
			require.Eventually(t, func() bool {
				_, err := r.Check(t.Context(), []Charge{charge})
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			warm(t, r)
			reserve(t, r, charge)

			s.signal(t, syscall.SIGSTOP)
			_, err := r.Reserve(t.Context(), []Charge{charge})
			require.ErrorIs(t, err, ErrUnavailable)
			s.signal(t, syscall.SIGCONT)
			require.NoError(t, s.admin.Ping(t.Context()).Err())
			require.Equal(t, uint64(9), left(t, r, charge), "what comes too late does nothing")
		})
	}
}

// Where the server's clock is judged wrong, nothing is refused for it, and the next answer corrects it.
func TestRedisClockIsJudgedWrong(t *testing.T) {
	r := startRedis(t).store(t, RedisOptions{})
	charge := per("k", FixedWindow, 10, time.Hour, 1)
	out := reserve(t, r, charge)
	for _, wrong := range []time.Duration{-time.Hour, time.Hour} {
		right := r.ahead.micros.Load()
		r.ahead.micros.Add(wrong.Microseconds())
		require.True(t, reserve(t, r, charge).Allowed)
		require.InDelta(t, right, r.ahead.micros.Load(), 1e6)
		r.ahead.micros.Add(wrong.Microseconds())
		settle(t, r, out, charge, 2)
	}
	require.Equal(t, uint64(5), left(t, r, charge))
}

// warm makes a store open several connections: a new one could not even log in to a paused server.
func warm(t *testing.T, r *Redis) {
	t.Helper()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				_, _ = r.Check(t.Context(), nil)
			}
		})
	}
	wg.Wait()
	require.Greater(t, r.client.PoolStats().IdleConns, uint32(3))
}

func clusterArgs(cluster bool) []string {
	if !cluster {
		return nil
	}
	return []string{"--cluster-enabled", "yes"}
}

// takeSlots makes a server a cluster of one.
func takeSlots(t *testing.T, s *server, cluster bool) {
	t.Helper()
	if cluster {
		require.NoError(t, s.admin.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	}
}

// A client that hangs up does not leave a reservation that nobody knows of.
func TestRedisDoesNotHeedTheRequestsEnd(t *testing.T) {
	r := startRedis(t).store(t, RedisOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := r.Reserve(ctx, []Charge{per("k", FixedWindow, 3, time.Hour, 1)})
	require.NoError(t, err)
	require.True(t, out.Allowed)
}

func TestRedisOverAUnixSocketWithAPassword(t *testing.T) {
	s := startRedis(t, "--user", "gate", "on", ">"+sentinel, "~{*", "+@all")
	r := s.store(t, RedisOptions{URL: "unix://gate:" + sentinel + "@" + s.socket + "?db=3"})
	require.True(t, reserve(t, r, per("k", FixedWindow, 3, time.Hour, 1)).Allowed)

	wrong := s.store(t, RedisOptions{URL: "redis://gate:" + sentinel + "wrong@127.0.0.1:" + s.port})
	_, err := wrong.Reserve(t.Context(), []Charge{per("k", FixedWindow, 3, time.Hour, 1)})
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotContains(t, err.Error(), sentinel)
}

func TestRedisOverTLS(t *testing.T) {
	cert, key := certificate(t)
	port := freePort(t)
	s := startRedis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	r := s.store(t, RedisOptions{URL: "rediss://127.0.0.1:" + port + "?skip_verify=true"})
	require.True(t, reserve(t, r, per("k", FixedWindow, 3, time.Hour, 1)).Allowed)

	strict := s.store(t, RedisOptions{URL: "rediss://127.0.0.1:" + port})
	_, err := strict.Reserve(t.Context(), nil)
	require.ErrorContains(t, err, "certificate")
}

// A node that has all slots is a cluster; it refuses scripts whose keys are in several.
func TestRedisCluster(t *testing.T) {
	s := startRedis(t, clusterArgs(true)...)
	takeSlots(t, s, true)
	r := s.store(t, RedisOptions{Cluster: true})
	charges := []Charge{per("a{b}", FixedWindow, 3, time.Hour, 1), per("c{d}", MovingWindow, 3, time.Hour, 1), per("{}", ElasticWindow, 3, time.Hour, 1)}
	require.Eventually(t, func() bool {
		out, err := r.Check(t.Context(), charges)
		return err == nil && out.Allowed
	}, 10*time.Second, 10*time.Millisecond)
	out := reserve(t, r, charges...)
	require.True(t, out.Allowed)
	settle(t, r, out, charges[0], 3)
	require.Zero(t, left(t, r, charges[0]))
}

func TestRedisErrorsShowNoPassword(t *testing.T) {
	for _, text := range []string{
		"redis://:" + sentinel + "@host:port",
		"redis://:" + sentinel + "%zz@host",
		"redis://host:" + sentinel,
		"http://:" + sentinel + "@host",
		"redis://:" + sentinel + "@host/seven",
		"redis://:x@host?password=" + sentinel,
		"redis://:x@host?" + sentinel + "=1",
		"unix://:" + sentinel + "@",
		sentinel,
		"",
	} {
		for _, cluster := range []bool{false, true} {
			_, err := NewRedis(RedisOptions{URL: text, Cluster: cluster})
			require.ErrorContains(t, err, "redis://user:password@host:port", text)
			require.NotContains(t, err.Error(), sentinel)
		}
	}
	_, err := NewRedis(RedisOptions{URL: "redis://host", Tag: "a}b"})
	require.ErrorContains(t, err, "brace")
}

// certificate writes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "CERTIFICATE", cert), writePEM(t, "PRIVATE KEY", private)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), strings.ToLower(strings.ReplaceAll(kind, " ", "-"))+".pem")
	require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return name
}
