package limit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions says where Redis is.
type RedisOptions struct {
	// URL is redis://, rediss:// (TLS) or unix://, with user, password and the database's number, as
	// "rediss://user:password@host:6380/2". Its query can set what is a default here: dial_timeout
	// (1s), read_timeout and write_timeout (500ms), pool_size (64), pool_timeout (500ms).
	URL string
	// Cluster says that URL is one node of a Redis Cluster; more of them are given as
	// "?addr=host:port". The others are found.
	Cluster bool
	// Tag is the hash tag of all keys; empty: DefaultTag. See Redis.
	Tag string

	clock func() time.Time // for tests
}

// client makes a client, and says how long it waits for an answer. Errors never show the URL, which may
// hold a password.
func (o RedisOptions) client() (redis.UniversalClient, time.Duration, error) {
	if strings.ContainsAny(o.Tag, "{}") {
		return nil, 0, fmt.Errorf("redis: the tag %q has a brace", o.Tag)
	}
	if err := checkURL(o.URL, o.Cluster); err != nil {
		return nil, 0, err
	}
	if o.Cluster {
		options, err := redis.ParseClusterURL(o.URL)
		if err != nil {
			return nil, 0, errURL
		}
		cluster(options)
		return redis.NewClusterClient(options), options.ReadTimeout, nil
	}
	options, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, 0, errURL
	}
	single(options)
	return redis.NewClient(options), options.ReadTimeout, nil
}

var errURL = errors.New("redis: the URL cannot be read: it is redis://user:password@host:port/database, " +
	"rediss:// for TLS, or unix://user:password@/path/to/socket?db=number; " +
	"other characters than letters and digits in a password are written as %XX")

// checkURL finds the mistakes that the client library does not, or shows too much of.
func checkURL(text string, cluster bool) error {
	u, err := url.Parse(text)
	if err != nil {
		return errURL
	}
	if cluster && !slices.Contains([]string{"", "/", "/0"}, u.Path) {
		return fmt.Errorf("redis: a cluster has no database but 0 (%w)", errURL)
	}
	if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return fmt.Errorf("redis: the URL must begin with redis://, rediss:// or unix:// (%w)", errURL)
	}
	return nil
}

// Where Redis does not answer, a request must hear so soon: its client waits.
const (
	dialTimeout = time.Second
	ioTimeout   = 500 * time.Millisecond
	poolSize    = 64
)

func single(o *redis.Options) {
	o.MaxRetries = -1 // see Redis: never twice
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	orDefault(&o.DialTimeout, dialTimeout)
	orDefault(&o.ReadTimeout, ioTimeout)
	orDefault(&o.WriteTimeout, ioTimeout)
	orDefault(&o.PoolTimeout, ioTimeout)
	orDefault(&o.PoolSize, poolSize)
}

func cluster(o *redis.ClusterOptions) {
	o.MaxRetries = -1               // of a node; see once for the rest
	o.DisableRoutingPolicies = true // a script goes where its keys are
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	orDefault(&o.DialTimeout, dialTimeout)
	orDefault(&o.ReadTimeout, ioTimeout)
	orDefault(&o.WriteTimeout, ioTimeout)
	orDefault(&o.PoolTimeout, ioTimeout)
	orDefault(&o.PoolSize, poolSize)
}

// Quiet stops the client library from writing to standard error by itself, for the whole process: each
// connection that fails would be a line, where a Fallback tells once. To be called before NewRedis.
func Quiet() { redis.SetLogger(silence{}) }

type silence struct{}

// Printf implements the library's logger.
func (silence) Printf(context.Context, string, ...any) {}

func orDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
