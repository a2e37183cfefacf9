package limit

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Two charges a request, as a client has of requests and of tokens.
func twoCharges(key string, strategy Strategy) []Charge {
	return []Charge{per(key+"/requests", strategy, 1000, time.Minute, 1), per(key+"/tokens", strategy, 1e6, time.Minute, 700)}
}

func BenchmarkMemoryOne(b *testing.B) {
	for _, strategy := range strategies() {
		b.Run(string(strategy), func(b *testing.B) {
			charges := twoCharges("client", strategy)[:1]
			benchmark(b, NewMemory(MemoryOptions{}), func(int) []Charge { return charges })
		})
	}
}

func BenchmarkMemoryTwo(b *testing.B) {
	for _, strategy := range strategies() {
		b.Run(string(strategy), func(b *testing.B) { benchmarkClients(b, NewMemory(MemoryOptions{}), strategy) })
	}
}

func BenchmarkRedisTwo(b *testing.B) {
	s := startRedis(b)
	for _, strategy := range strategies() {
		b.Run(string(strategy), func(b *testing.B) { benchmarkClients(b, s.store(b, RedisOptions{}), strategy) })
	}
}

// benchmarkClients reserves for 1000 clients.
func benchmarkClients(b *testing.B, store Store, strategy Strategy) {
	b.Helper()
	var charges [1000][]Charge
	for i := range charges {
		charges[i] = twoCharges(fmt.Sprint(strategy, i), strategy)
	}
	benchmark(b, store, func(i int) []Charge { return charges[i%1000] })
}

func benchmark(b *testing.B, store Store, charges func(int) []Charge) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8)
	var turn atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		for i := int(turn.Add(1)) * 97; p.Next(); i++ {
			if _, err := store.Reserve(b.Context(), charges(i)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

// What a client costs that came once, with two counters, and one that came a hundred times.
func BenchmarkMemoryPerClient(b *testing.B) {
	for _, strategy := range strategies() {
		for _, requests := range []int{1, 100} {
			b.Run(fmt.Sprint(strategy, "/requests=", requests), func(b *testing.B) {
				const clients = 20_000
				for b.Loop() {
					before := heapUsed()
					clock := newClock()
					m := NewMemory(MemoryOptions{Clock: clock.Now})
					for range requests {
						for i := range clients {
							_, _ = m.Reserve(b.Context(), twoCharges(fmt.Sprint("client ", i), strategy))
						}
						clock.Advance(time.Millisecond)
					}
					b.ReportMetric(float64(heapUsed()-before)/clients, "bytes/client")
					runtime.KeepAlive(m)
				}
			})
		}
	}
}

func BenchmarkRedisPerClient(b *testing.B) {
	for _, strategy := range strategies() {
		for _, requests := range []int{1, 100} {
			b.Run(fmt.Sprint(strategy, "/requests=", requests), func(b *testing.B) {
				const clients = 500
				s := startRedis(b)
				clock := newClock()
				r := s.store(b, RedisOptions{clock: clock.Now})
				reserve(b, r)
				before := redisMemory(b, s)
				for range requests {
					for i := range clients {
						reserve(b, r, twoCharges(fmt.Sprint("client ", i), strategy)...)
					}
					clock.Advance(time.Millisecond)
				}
				b.ReportMetric((redisMemory(b, s)-before)/clients, "bytes/client")
			})
		}
	}
}

func redisMemory(b *testing.B, s *server) float64 {
	b.Helper()
	var used float64
	info := s.admin.InfoMap(b.Context(), "memory").Item("Memory", "used_memory")
	if _, err := fmt.Sscan(info, &used); err != nil {
		b.Fatal(err)
	}
	return used
}

func heapUsed() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
