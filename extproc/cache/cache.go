// Package cache keeps answers, to give them again to whoever asks the same.
//
//   - [KeyOf] says which requests ask the same.
//   - [ControlOf] reads what a client wants of the cache, [Cover] what a route does.
//   - [Storable] says which answers may be given again.
//   - [Store] is where they are kept: in memory, on disk or in Redis.
//   - [Status] is what a client is told (RFC 9211).
package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"tollgate/extproc/openai"
)

// Key is a digest of all that can change an answer, and of who may be given it.
type Key [sha256.Size]byte

// Entry is an answer that is kept. It is not written to after it was put or got: many read it.
type Entry struct {
	Stored      time.Time
	Expires     time.Time
	Stream      bool   // its body is a stream of server-sent events
	ToldUsage   bool   // the stream's request asked for its usage (stream_options.include_usage)
	ContentType string // of the answer
	Body        []byte // as the upstream sent it, decoded
	Model       string // that answered, as it names itself
	Usage       openai.Usage
	Took        time.Duration // from the request to the answer's end
}

// Age is how long ago the answer was stored, to whole seconds (RFC 9111, 5.1).
func (e *Entry) Age(now time.Time) time.Duration {
	return max(0, now.Sub(e.Stored).Truncate(time.Second))
}

// Store keeps entries until they expire, or until there is no room. Its methods may be called by many
// goroutines. An error of Get means that it could not be known whether there is an entry: the call
// goes to the upstream.
type Store interface {
	// Get returns the entry with a key, nil where there is none or it has expired.
	Get(ctx context.Context, key Key) (*Entry, error)

	// Put keeps an entry. It may be dropped at any time, and where it is too large at once.
	Put(ctx context.Context, key Key, entry *Entry) error

	// Purge forgets all entries.
	Purge(ctx context.Context) error

	// Stats tells how full the store is.
	Stats(ctx context.Context) (Stats, error)

	// Close ends the store; what was put is kept where it outlives the process.
	Close() error
}

var errClosed = errors.New("the cache is closed")

// Stats tells how full a store is. What a store cannot know is -1.
type Stats struct {
	Entries int64
	Bytes   int64 // as they are kept
	Max     int64 // bytes; 0: no bound of its own
}
