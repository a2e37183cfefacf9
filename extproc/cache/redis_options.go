package cache

import (
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errURL does not show the URL, which may hold a password.
var errURL = errors.New("redis: the URL cannot be read: it is redis://user:password@host:port/database, " +
	"rediss:// for TLS, or unix://user:password@/path/to/socket?db=number; " +
	"other characters than letters and digits in a password are written as %XX")

// Where Redis does not answer, a request must hear so soon: its client waits.
const (
	dialTimeout = time.Second
	ioTimeout   = 500 * time.Millisecond
	poolSize    = 64
)

// redisOptions reads a URL. Its query can set what is a default here: dial_timeout, read_timeout,
// write_timeout, pool_timeout and pool_size.
func redisOptions(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return nil, errURL
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errURL
	}
	o.MaxRetries = -1 // who waits would wait again
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	for _, timeout := range []*time.Duration{&o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout} {
		if *timeout == 0 {
			*timeout = ioTimeout
		}
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	if o.PoolSize == 0 {
		o.PoolSize = poolSize
	}
	return o, nil
}
