package main

import (
	"context"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/limit"
)

// newLedger counts in memory, which is swept until ctx ends.
func newLedger(ctx context.Context) *limit.Ledger {
	memory := limit.NewMemory(limit.MemoryOptions{})
	go memory.Run(ctx)
	return &limit.Ledger{Memory: memory}
}

// newLimits is where requests are counted: memory, or a Redis that all replicas share.
func newLimits(ctx context.Context, log *zap.Logger, c config.LimitStore, memory *limit.Ledger) (limit.Store, error) {
	limit.Quiet() // the cache may be in Redis, too
	if c.Redis.Reveal() == "" {
		return memory, nil
	}
	shared, err := limit.NewRedis(limit.RedisOptions{URL: c.Redis.Reveal()})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong with the URL, and not the URL
	}
	onError := limit.Refuse
	if c.Local {
		onError = limit.UseLocal
	}
	store := &limit.Fallback{
		Primary: shared,
		Local:   memory,
		OnError: onError,
		OnChange: func(up bool, err error) {
			if up {
				log.Info("Redis answers again: limits are counted there")
				return
			}
			log.Error("Redis cannot be reached", zap.String("limited_requests_are", map[bool]string{true: "counted here alone", false: "refused"}[c.Local]), zap.Error(err))
		},
	}
	go func() { _, _ = store.Check(ctx, nil) }() // who starts it shall hear by OnChange, before the first client does
	return store, nil
}
