package cache

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	redisKeys = "tollgate:cache:" // what all keys begin with, whatever the format

	// scanned is how many keys a step of a scan looks at, about, and countSteps how many steps are taken to
	// count entries.
	scanned    = 1000
	countSteps = 100
)

// Redis keeps entries in a Redis server that all replicas share. The server forgets them when they expire;
// what it does when it is full is its own setting (maxmemory-policy: allkeys-lru, or volatile-lru where it
// keeps something else as well). Each entry is one key, so a request is one round trip.
type Redis struct {
	client   *redis.Client
	maxEntry int
	breaker  breaker
	now      func() time.Time
}

// NewRedis returns a store of entries whose bodies have at most maxEntry bytes, in the Redis that a URL
// names: redis://, rediss:// (TLS) or unix://, with user, password and database. It connects when it is first
// used. While Redis is away calls fail at once, but for one in a while that tries; onChange hears of it
// once, and once when it is back. It may be nil.
func NewRedis(url string, maxEntry int, onChange func(up bool, err error)) (*Redis, error) {
	options, err := redisOptions(url)
	if err != nil {
		return nil, err
	}
	r := &Redis{client: redis.NewClient(options), maxEntry: maxEntry, now: time.Now}
	r.breaker = breaker{now: time.Now, onChange: onChange}
	return r, nil
}

// Get implements [Store]. Bytes that are no entry are none.
func (r *Redis) Get(ctx context.Context, key Key) (*Entry, error) {
	var data []byte
	err := r.breaker.try(ctx, func() error {
		var err error
		if data, err = r.client.Get(ctx, redisKey(key)).Bytes(); errors.Is(err, redis.Nil) {
			data, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	entry, err := decode(key, data, r.maxEntry)
	if err != nil || !r.now().Before(entry.Expires) {
		return nil, nil // an entry of no use is none
	}
	return entry, nil
}

// Put implements [Store].
func (r *Redis) Put(ctx context.Context, key Key, entry *Entry) error {
	ttl := entry.Expires.Sub(r.now()).Truncate(time.Millisecond)
	if ttl <= 0 || len(entry.Body) > r.maxEntry {
		return nil
	}
	var refused error // by a Redis that is there: it is full, or lets nobody write
	err := r.breaker.try(ctx, func() error {
		err := r.client.Set(ctx, redisKey(key), encode(key, entry), ttl).Err()
		if reply := redis.Error(nil); errors.As(err, &reply) {
			refused, err = err, nil
		}
		return err
	})
	if err = errors.Join(err, refused); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Purge implements [Store]. What is put meanwhile may stay.
func (r *Redis) Purge(ctx context.Context) error {
	_, err := r.scan(ctx, 0, func(keys []string) error {
		return r.client.Unlink(ctx, keys...).Err()
	})
	return err
}

// Stats implements [Store]. Entries are counted as far as that takes no long time: more than some 100,000
// keys in the database are not known, nor are bytes.
func (r *Redis) Stats(ctx context.Context) (Stats, error) {
	stats := Stats{Bytes: -1}
	whole, err := r.scan(ctx, countSteps, func(keys []string) error {
		stats.Entries += int64(len(keys))
		return nil
	})
	if err != nil {
		return Stats{}, err
	}
	if !whole {
		stats.Entries = -1
	}
	return stats, nil
}

// scan hands out all keys of the cache's, some at a time, and some of them maybe twice. It tells whether so
// many steps were enough; 0: as many as it takes.
func (r *Redis) scan(ctx context.Context, steps int, each func(keys []string) error) (whole bool, err error) {
	cursor := uint64(0)
	for step := 1; ; step++ {
		var keys []string
		keys, cursor, err = r.client.Scan(ctx, cursor, redisKeys+"*", scanned).Result()
		if err == nil && len(keys) > 0 {
			err = each(keys)
		}
		if err != nil {
			return false, fmt.Errorf("redis: %w", err)
		}
		if cursor == 0 || step == steps {
			return cursor == 0, nil
		}
	}
}

// Close implements [Store].
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func redisKey(key Key) string {
	return redisKeys + string(rune(entryFormat)) + ":" + base64.RawURLEncoding.EncodeToString(key[:])
}
