package cache

import (
	"strconv"
	"time"
)

// The values of Cache-Status (RFC 9211) by which a client learns what the cache did.
const (
	// StatusBypass: the route's rules, or the request's own "caching", kept the cache out of it.
	StatusBypass = "tollgate; fwd=bypass" //nolint:gosec // no credential

	// StatusRequest: the request's Cache-Control wanted the upstream's answer.
	StatusRequest = "tollgate; fwd=request"

	// StatusMiss: nothing was kept.
	StatusMiss = "tollgate; fwd=uri-miss"

	// StatusCollapsed: nothing was kept, and the answer came by the call of another request.
	StatusCollapsed = "tollgate; fwd=uri-miss; collapsed"
)

// StatusHit tells of an answer from the cache, and for how many seconds it can be given again.
func StatusHit(entry *Entry, now time.Time) string {
	return "tollgate; hit; ttl=" + strconv.FormatInt(int64(entry.Expires.Sub(now)/time.Second), 10)
}
