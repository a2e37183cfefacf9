package auth

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// longRest is for a key that was not taken at all; no rest is longer.
	longRest = time.Hour

	// shortRest is for a key that was used too much, where the upstream does not say how long.
	shortRest = time.Second
)

// Rest is what an upstream's answer says against the key that it got.
type Rest struct {
	For   time.Duration // 0: nothing
	Aside bool          // the key is not taken at all; else it was used too much
}

// RestOf reads an answer: its status, and its headers by their names in lower case.
func RestOf(status int, header func(name string) string, now time.Time) Rest {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Rest{For: longRest, Aside: true}
	case http.StatusTooManyRequests:
		wait := retryAfter(header, now)
		if wait <= 0 {
			wait = reset(header, now)
		}
		if wait <= 0 {
			wait = shortRest
		}
		return Rest{For: min(wait, longRest)}
	}
	return Rest{}
}

// retryAfter is how long the upstream says to wait; 0: it does not. The finer header comes first, as
// OpenAI's SDKs read them.
func retryAfter(header func(string) string, now time.Time) time.Duration {
	if wait, ok := number(header("retry-after-ms"), time.Millisecond); ok {
		return wait
	}
	written := header("retry-after")
	if wait, ok := number(written, time.Second); ok {
		return wait
	}
	if at, err := http.ParseTime(written); err == nil {
		return at.Sub(now)
	}
	return 0
}

// reset is how long it takes until what is used up is there again: the longest of the limits of which
// nothing remains.
func reset(header func(string) string, now time.Time) time.Duration {
	wait := moment(header("x-ratelimit-reset"), now)
	for _, of := range []string{"requests", "tokens"} {
		if strings.TrimSpace(header("x-ratelimit-remaining-"+of)) == "0" {
			wait = max(wait, moment(header("x-ratelimit-reset-"+of), now))
		}
	}
	return wait
}

// moment reads a reset, which upstreams write in many ways: 6m0s, seconds, or the time itself, in seconds
// or milliseconds of Unix time.
func moment(written string, now time.Time) time.Duration {
	if wait, err := time.ParseDuration(strings.TrimSpace(written)); err == nil {
		return wait
	}
	at, err := strconv.ParseFloat(strings.TrimSpace(written), 64)
	const past = 1_000_000_000 // in seconds: the year 2001
	switch {
	case err != nil || !(at >= 0 && at < past*past):
		return 0
	case at >= past*1000:
		return time.UnixMilli(int64(at)).Sub(now)
	case at >= past:
		return time.Unix(int64(at), 0).Sub(now)
	}
	return time.Duration(at * float64(time.Second))
}

// number reads a number of units, of which there can be a part. More than a long rest is as good as one.
func number(written string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(written), 64)
	if err != nil || !(n >= 0) {
		return 0, false
	}
	return time.Duration(min(n, float64(longRest/unit)) * float64(unit)), true
}
