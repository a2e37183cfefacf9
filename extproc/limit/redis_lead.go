package limit

import (
	"strconv"
	"sync/atomic"
	"time"
)

// A lead is how far a server's clock is ahead of this machine's, in microseconds, and not less than it
// was known to be when the server was last heard of. The zero value knows nothing.
type lead struct {
	known  atomic.Bool
	micros atomic.Int64
}

// processStart is what the monotonic clock counts from.
var processStart = time.Now() //nolint:gochecknoglobals // never written to

func sinceStart() int64 { return time.Since(processStart).Microseconds() }

// heard notes the server's time in an answer that has just come. It is older than that: so the lead is
// never too large, and a deadline never too late.
func (l *lead) heard(server int64) {
	l.micros.Store(server - sinceStart())
	l.known.Store(true)
}

// deadline returns the server's time at which so much will have passed; empty where it is not known.
func (l *lead) deadline(after time.Duration) string {
	if !l.known.Load() {
		return ""
	}
	return strconv.FormatInt(sinceStart()+l.micros.Load()+after.Microseconds(), 10)
}
