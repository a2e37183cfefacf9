package cache

import (
	"iter"
	"strconv"
	"strings"
	"time"

	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// Control is what a client wants of the cache.
type Control struct {
	NoCache      bool // it is not to be answered from what is kept
	NoStore      bool // its answer is not to be kept. NoCache is true as well
	OnlyIfCached bool // it is to be answered from what is kept, or not at all: 504
	Refused      bool // the body says "caching": false, or what is not clearly true: neither
	Asked        bool // the body says "caching": true

	maxAge   time.Duration // negative: any
	minFresh time.Duration
}

// ControlOf reads a request's Cache-Control (RFC 9111, 5.2.1), Pragma where there is none, and the member
// "caching" of its body; asked may be nil. Of a directive that stands twice the narrower counts, and a
// number that cannot be read is one that nothing kept can satisfy. max-stale is of no use: what has
// expired is never kept.
func ControlOf(request *exchange.Request, asked *openai.Request) Control {
	c := Control{maxAge: -1}
	told, pragma := false, false
	for _, h := range request.Headers {
		switch h.Name {
		case "cache-control":
			told = true
			for name, argument := range directives(h.Value) {
				c.add(name, argument)
			}
		case "pragma":
			for name := range directives(h.Value) {
				pragma = pragma || name == "no-cache"
			}
		}
	}
	c.NoCache = c.NoCache || c.NoStore || pragma && !told
	if asked != nil {
		c.body(string(asked.Fields["caching"]))
	}
	return c
}

// add takes a directive. Those that it does not know have no meaning for a cache.
func (c *Control) add(name, argument string) {
	switch name {
	case "no-cache":
		c.NoCache = true
	case "no-store":
		c.NoStore = true
	case "only-if-cached":
		c.OnlyIfCached = true
	case "max-age":
		age, ok := seconds(argument)
		if !ok || age == 0 { // as browsers say it when they reload
			c.NoCache = true
		}
		if c.maxAge < 0 || age < c.maxAge {
			c.maxAge = age
		}
	case "min-fresh":
		fresh, ok := seconds(argument)
		c.NoCache = c.NoCache || !ok
		c.minFresh = max(c.minFresh, fresh)
	}
}

// body takes the member "caching". A client that says anything else than yes has something against it;
// null is as good as nothing, as the SDKs of some languages write what is not set.
func (c *Control) body(raw string) {
	switch {
	case raw == "" || raw == "null":
	case openai.IsTrue(raw):
		c.Asked = true
	default:
		c.Refused = true
	}
}

// Accepts tells whether an entry is fresh, and what the client allows.
func (c *Control) Accepts(entry *Entry, now time.Time) bool {
	if c.maxAge >= 0 && now.Sub(entry.Stored) > c.maxAge {
		return false
	}
	left := entry.Expires.Sub(now)
	return left > 0 && left >= c.minFresh
}

// directives are those of a Cache-Control or Pragma: names in lower case, and their arguments, without
// quotes.
func directives(header string) iter.Seq2[string, string] {
	return func(yield func(name, argument string) bool) {
		for header != "" {
			var directive string
			directive, header = cutDirective(header)
			name, argument, _ := strings.Cut(directive, "=")
			if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
				continue
			}
			if !yield(name, strings.Trim(strings.TrimSpace(argument), `"`)) {
				return
			}
		}
	}
}

// cutDirective takes the first directive off a list. A comma between quotes does not end it.
func cutDirective(list string) (first, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == '\\' && quoted:
			i++
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// maxSeconds is what RFC 9111, 1.2.2 takes for any larger number.
const maxSeconds = 1 << 31

// seconds reads a number of seconds; what cannot be read is 0.
func seconds(text string) (d time.Duration, ok bool) {
	for _, b := range []byte(text) {
		if b < '0' || b > '9' {
			return 0, false
		}
	}
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxSeconds {
		n = maxSeconds
	}
	return time.Duration(n) * time.Second, true
}

// MayStore tells whether an upstream's headers let its answer be kept: Cache-Control's no-store forbids
// it, private does where clients share what is kept. no-cache does not: upstreams say it of each stream, to
// keep proxies from holding it back.
func MayStore(headers []exchange.Header, shared bool) bool {
	for _, h := range headers {
		if h.Name != "cache-control" {
			continue
		}
		for name := range directives(h.Value) {
			if name == "no-store" || name == "private" && shared {
				return false
			}
		}
	}
	return true
}
