package main

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/cache"
	"tollgate/extproc/usage"
)

// statsWithin bounds how long metrics wait for the cache's store.
const statsWithin = time.Second

// answers is the store of a cache. A directory can be lent to another process: then nothing is found here, and
// nothing kept.
type answers struct {
	open func() (cache.Store, error)
	dir  bool

	mu    sync.RWMutex
	store cache.Store // nil: it is lent
}

// newCache is where answers are kept: in memory, on disk, or in a Redis that all replicas share.
func newCache(log *zap.Logger, c config.CacheStore) (*answers, error) {
	a := &answers{dir: c.Dir != "", open: func() (cache.Store, error) { return openCache(log, c) }}
	return a, a.takeBack()
}

// lend lets go of a directory.
func (a *answers) lend() error {
	if !a.dir {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	store := a.store
	a.store = nil
	return store.Close() //nolint:wrapcheck // it says what was being done
}

// takeBack opens it again.
func (a *answers) takeBack() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store == nil {
		a.store, err = a.open()
	}
	return err
}

// use calls a function with the store, unless it is lent.
func (a *answers) use(f func(cache.Store) error) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.store == nil {
		return nil
	}
	return f(a.store)
}

// Get implements [cache.Store].
func (a *answers) Get(ctx context.Context, key cache.Key) (entry *cache.Entry, err error) {
	err = a.use(func(s cache.Store) (err error) { entry, err = s.Get(ctx, key); return err }) //nolint:wrapcheck // it is the store's
	return entry, err
}

// Put implements [cache.Store].
func (a *answers) Put(ctx context.Context, key cache.Key, entry *cache.Entry) error {
	return a.use(func(s cache.Store) error { return s.Put(ctx, key, entry) })
}

// Purge implements [cache.Store].
func (a *answers) Purge(ctx context.Context) error {
	return a.use(func(s cache.Store) error { return s.Purge(ctx) })
}

// Stats implements [cache.Store].
func (a *answers) Stats(ctx context.Context) (stats cache.Stats, err error) {
	err = a.use(func(s cache.Store) (err error) { stats, err = s.Stats(ctx); return err }) //nolint:wrapcheck // it is the store's
	return stats, err
}

// Close implements [cache.Store].
func (a *answers) Close() error { return a.use(cache.Store.Close) }

func openCache(log *zap.Logger, c config.CacheStore) (cache.Store, error) {
	return cache.Open(c, cache.Watch{ //nolint:wrapcheck // it says what is wrong with the store, and not the URL
		Reached: func(up bool, err error) {
			if up {
				log.Info("Redis answers again: answers are kept there")
				return
			}
			log.Error("Redis cannot be reached: requests go to their upstreams, and answers are not kept", zap.Error(err))
		},
		SetAside: func(path string, err error) {
			log.Warn("the cache's files are damaged: they were set aside, and the cache is empty", zap.String("files", path), zap.Error(err))
		},
		Written: func(up bool, err error) {
			if up {
				log.Info("the cache's disk can be written again: answers are kept there")
				return
			}
			log.Error("the cache's disk cannot be written: answers are not kept; those that are there are given", zap.Error(err))
		},
	})
}

// cacheStats shows how full the cache is.
func (o *observers) cacheStats(answers cache.Store) error {
	return o.metrics.Register(usage.CacheStats(func() (entries, bytes int64) { //nolint:wrapcheck // it says what was being done
		ctx, cancel := context.WithTimeout(context.Background(), statsWithin)
		defer cancel()
		stats, err := answers.Stats(ctx)
		if err != nil {
			return -1, -1
		}
		return stats.Entries, stats.Bytes
	}))
}
