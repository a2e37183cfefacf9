package config

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// DefaultAttempts is how often a request is tried in all.
const DefaultAttempts = 3

// Retry says how requests are tried again whose upstream fails before its answer has begun.
type Retry struct {
	Attempts         int           // in all, the first included; at least 1
	Statuses         []uint32      // sorted; without 429
	RateLimited      bool          // 429 is one of them, where another key or upstream is left
	FirstByteTimeout time.Duration // until an attempt's answer begins; 0: any
	IdleTimeout      time.Duration // without a byte in either direction; 0: as long as the client's
}

// retry resolves a retry; of nil it makes the defaults.
func (r *resolver) retry(m *tollgatev1.Retry) Retry {
	statuses := slices.Sorted(slices.Values(m.GetStatuses()))
	if len(statuses) == 0 {
		statuses = []uint32{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	}
	limited := func(status uint32) bool { return status == http.StatusTooManyRequests }
	return Retry{
		Attempts:         int(cmp.Or(m.GetAttempts(), DefaultAttempts)),
		RateLimited:      slices.ContainsFunc(statuses, limited),
		Statuses:         slices.DeleteFunc(statuses, limited),
		FirstByteTimeout: duration(m.GetFirstByteTimeout(), 0),
		IdleTimeout:      duration(m.GetIdleTimeout(), 0),
	}
}
