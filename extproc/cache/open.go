package cache

import "tollgate/config"

// Watch hears what becomes of a store. Its functions may be nil, and must not block.
type Watch struct {
	Reached  func(up bool, err error)     // Redis is away, or back: once each
	SetAside func(path string, err error) // what was damaged on disk was renamed
	Written  func(up bool, err error)     // answers cannot be kept on disk, or can again: once each
}

// Open returns the store that a configuration asks for: on disk, in Redis, or in memory.
func Open(c config.CacheStore, watch Watch) (Store, error) {
	switch {
	case c.Dir != "":
		return NewDisk(c.Dir, c.MaxBytes, c.MaxEntryBytes, watch)
	case c.Redis.Reveal() != "":
		return NewRedis(c.Redis.Reveal(), c.MaxEntryBytes, watch.Reached)
	}
	return NewMemory(c.MaxBytes, c.MaxEntryBytes)
}
