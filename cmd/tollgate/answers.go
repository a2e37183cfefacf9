package main

import (
	"context"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/cache"
)

// newCache is where answers are kept.
func newCache(_ context.Context, _ *zap.Logger, c config.CacheStore) (cache.Store, error) {
	return cache.NewMemory(c.MaxBytes, c.MaxEntryBytes) //nolint:wrapcheck // it says what was being done
}
