package config

import (
	"cmp"
	"slices"
	"time"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// The cache's defaults that the schema names.
const (
	DefaultCacheTTL      = 24 * time.Hour
	DefaultCacheBytes    = 256 << 20
	DefaultMaxEntryBytes = 1 << 20
)

// Cache says which requests are answered from what was answered before.
type Cache struct {
	TTL            time.Duration
	PerClient      bool     // else all clients of a route share
	APIs           []string // by their names in package openai; none: all that can be kept
	MaxTemperature float64  // negative: any
	OptIn          bool     // only requests that say so
	Collapse       bool     // equal requests share an answer that is under way
	ChargeTokens   bool     // hits take their tokens from limits
	Shadow         bool     // nothing is answered from it
}

// CacheStore is where answers are kept.
type CacheStore struct {
	Dir           string // empty: not on disk
	Redis         Secret // a URL, which may hold a password; empty: not in Redis. Neither: in memory
	MaxBytes      int64
	MaxEntryBytes int
}

// Covers tells whether an API's answers are kept.
func (c *Cache) Covers(api string) bool { return len(c.APIs) == 0 || slices.Contains(c.APIs, api) }

// cache resolves a cache; nil: none.
func (r *resolver) cache(m *tollgatev1.Cache) *Cache {
	if m == nil || m.GetOff() {
		return nil
	}
	return &Cache{
		TTL:            duration(m.GetTtl(), DefaultCacheTTL),
		PerClient:      m.GetScope() != "route",
		APIs:           m.GetApis(),
		MaxTemperature: share(m.MaxTemperature, -1),
		OptIn:          m.GetOptIn(),
		Collapse:       (m.Collapse == nil || m.GetCollapse()) && !m.GetShadow(),
		ChargeTokens:   m.GetChargeTokens(),
		Shadow:         m.GetShadow(),
	}
}

func (r *resolver) cacheStore() {
	m := r.message.GetCacheStore()
	if m.GetDir() != "" && m.GetRedis() != "" {
		r.problem("cache_store.redis", "stands beside dir: answers are kept in one place")
	}
	r.config.CacheStore = CacheStore{
		Dir:           m.GetDir(),
		MaxBytes:      int64(cmp.Or(m.GetMaxBytes(), DefaultCacheBytes)),       //nolint:gosec // the schema bounds it
		MaxEntryBytes: int(cmp.Or(m.GetMaxEntryBytes(), DefaultMaxEntryBytes)), //nolint:gosec // the schema bounds it
	}
	if m.GetRedis() != "" {
		r.config.CacheStore.Redis = r.redis("cache_store.redis", m.GetRedis())
	}
}
