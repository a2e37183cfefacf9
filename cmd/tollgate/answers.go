package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/cache"
	"tollgate/extproc/usage"
)

// statsWithin bounds how long metrics wait for the cache's store.
const statsWithin = time.Second

// newCache is where answers are kept: in memory, on disk, or in a Redis that all replicas share.
func newCache(log *zap.Logger, c config.CacheStore) (cache.Store, error) {
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
