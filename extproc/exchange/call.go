package exchange

import (
	"net/netip"
	"time"
)

// Call is what is known of a request when the gate lets it pass. Never written to after that.
type Call struct {
	ID          string    // unique; ties the lines of the chat log and spans together
	Began       time.Time // when the gate saw it
	Route       string    // the route's prefix
	Upstream    string    // the name of the one where it begins; empty: it went to none
	Key         string    // the fingerprint of the upstream's key; empty: none
	Attempts    bool      // what the upstream says against its keys is told attempt by attempt
	Client      string    // the client's name; empty: not one that the configuration names
	Address     netip.Addr
	Method      string
	Path        string // below the route's prefix, without the query: /v1/chat/completions
	ContentType string // of the request's body
	Shadowed    bool   // a limit that is tried out would have refused it
	Cache       CacheResult
	Parent      string // Envoy's or the client's traceparent (W3C Trace Context); empty: none
}

// CacheResult is what the cache did with a request; empty: it had nothing to do with it.
type CacheResult string

// The results.
const (
	CacheHit       CacheResult = "hit"       // answered from what was kept
	CacheMiss      CacheResult = "miss"      // nothing was kept
	CacheCollapsed CacheResult = "collapsed" // answered by a call that was under way
	CacheBypass    CacheResult = "bypass"    // the client, or the route's rules, did not want it
	CacheWouldHit  CacheResult = "would_hit" // the cache is tried out: a hit, had it been in force
)

// Spared tells whether the upstream was not asked.
func (r CacheResult) Spared() bool { return r == CacheHit || r == CacheCollapsed }

// Cause says how an answer ended.
type Cause string

// The causes.
const (
	Whole   Cause = "whole"   // the answer was sent to its end
	Cut     Cause = "cut"     // it broke off: the upstream broke, or the client left
	Refused Cause = "refused" // the gate, or Envoy, answered instead of an upstream
	Unseen  Cause = "unseen"  // the tap never came, or had to skip what it could not keep
)

// End is how a call ended.
type End struct {
	Cause  Cause
	Status int    // HTTP status; 0: no answer was seen
	Code   string // of a refusal, such as invalid_api_key

	// Upstream and Key are of the attempt that was answered; empty: they are the call's.
	Upstream, Key string
	First         time.Time // when the first byte of the answer's body was seen; zero: none
	Last          time.Time // when the end was seen
	Events        int       // server-sent events
	Bytes         int64     // of the answer's body, as sent

	// Cost is what the call cost, and Saved what an answer from the cache would have cost, in nano-dollars.
	// Priced tells whether that is known, Unpriced that it is not although there are prices.
	Cost, Saved      uint64
	Priced, Unpriced bool

	// Counted tells that the upstream did not tell the answer's usage, and that it was counted here.
	Counted bool
}
