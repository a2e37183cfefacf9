package cache

import (
	"strconv"
	"strings"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Control is what a client wants of the cache, by its request's Cache-Control (RFC 9111, 5.2.1) and by the
// member "caching" of its body, which is how OpenAI-Forward's clients say it.
type Control struct {
	NoCache      bool // not from the cache
	NoStore      bool // nor into it
	OnlyIfCached bool // nor from the upstream
	MaxAge       time.Duration
	MinFresh     time.Duration
	Asked        bool // "caching": true
	Refused      bool // "caching" is anything else but null
	hasMaxAge    bool
}

// ControlOf reads what a client wants. What it does not understand is left out.
func ControlOf(request *exchange.Request, asked *openai.Request) Control {
	var c Control
	said := false
	for _, h := range request.Headers {
		if h.Name == "cache-control" {
			said = true
			for directive := range strings.SplitSeq(h.Value, ",") {
				c.directive(directive)
			}
		}
	}
	if !said && strings.EqualFold(strings.TrimSpace(request.Get("pragma")), "no-cache") {
		c.NoCache = true
	}
	switch caching := string(asked.Fields["caching"]); {
	case caching == "" || caching == "null":
	case openai.IsTrue(caching):
		c.Asked = true
	default:
		c.Refused = true
	}
	return c
}

func (c *Control) directive(directive string) {
	name, value, _ := strings.Cut(directive, "=")
	seconds := func() (time.Duration, bool) {
		const most = 1 << 31 // RFC 9111, 1.2.2
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 64)
		return time.Duration(min(n, most)) * time.Second, err == nil
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "no-cache":
		c.NoCache = true
	case "no-store":
		c.NoCache, c.NoStore = true, true
	case "only-if-cached":
		c.OnlyIfCached = true
	case "max-age":
		c.MaxAge, c.hasMaxAge = seconds()
	case "min-fresh":
		c.MinFresh, _ = seconds()
	}
}

// Accepts tells whether an answer is fresh enough.
func (c *Control) Accepts(entry *Entry, now time.Time) bool {
	left := entry.Expires.Sub(now)
	return left > 0 && left >= c.MinFresh && (!c.hasMaxAge || entry.Age(now) <= c.MaxAge)
}
