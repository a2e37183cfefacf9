package extproc

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/cache"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
	"tollgate/extproc/share"
)

// caching is what the cache has to do with a request. A nil caching has nothing.
type caching struct {
	result exchange.CacheResult
	key    cache.Key
	keeps  bool        // the answer may be kept
	hit    *cache.Form // the answer, in the form that was asked for
	shared string      // which requests may share its call; empty: none
	call   *share.Call // the call that it shares
	leads  bool        // and that it has to make
	led    *leading    // nil: it has not

	control cache.Control
}

// lookUp asks the cache. Its error is an *exchange.Refusal.
func (g *Gate) lookUp(v *visit) error {
	c := v.route.Cache
	if c == nil || v.asked == nil || v.request.Method != http.MethodPost || !v.cacheable() {
		return nil
	}
	control := cache.ControlOf(v.request, v.asked)
	v.caching = &caching{result: exchange.CacheBypass, control: control}
	key, err := cache.KeyOf(v.asked, v.space()...)
	if err != nil || !permits(c, v.asked, control) {
		v.tellCache(cache.StatusBypass)
		return nil
	}
	v.caching.key, v.caching.keeps = key, !control.NoStore
	if control.NoCache {
		v.tellCache(cache.StatusRequest)
		return nil
	}
	v.caching.result = exchange.CacheMiss
	if g.find(v) {
		return nil
	}
	if control.OnlyIfCached {
		return notCached()
	}
	v.tellCache(cache.StatusMiss)
	if c.Collapse && v.caching.keeps && g.options.Shared != nil {
		v.caching.shared = v.form()
		g.join(v)
		if v.caching.leads && g.find(v) { // what was under way may just have been kept
			v.caching.call.Fail(errKept)
			v.leave()
		}
	}
	return nil
}

// find looks for the answer, and tells whether it is there.
func (g *Gate) find(v *visit) bool {
	k := v.caching
	entry, err := g.options.Cache.Get(v.rpc.Context(), k.key)
	if err != nil {
		g.log.Debug("the cache cannot be asked", zap.Error(err)) // who watches the store says so once
		return false
	}
	if entry == nil || !k.control.Accepts(entry, time.Now()) {
		return false
	}
	if v.route.Cache.Shadow {
		k.result = exchange.CacheWouldHit
		v.tellCache(cache.StatusBypass)
		return false
	}
	form, err := entry.As(v.asked)
	if err != nil {
		g.log.Debug("an answer is kept in a form that cannot be turned into the one that is asked for", zap.Error(err))
		return false
	}
	k.hit, k.result = form, exchange.CacheHit
	v.tellCache(cache.StatusHit(entry, time.Now()))
	return true
}

// tellCache notes what the cache did, for the answer's header and the access log.
func (v *visit) tellCache(status string) {
	v.say(config.CacheKey, string(v.caching.result))
	v.say(config.CacheStatusKey, status)
}

// cacheable tells whether a request is of an API whose answers can be kept. One that changes what an
// upstream remembers must reach it.
func (v *visit) cacheable() bool {
	switch v.asked.API {
	case openai.Chat, openai.Completions, openai.Embeddings:
	case openai.Responses:
		if _, changes := v.asked.Fields["conversation"]; changes || openai.IsTrue(string(v.asked.Fields["background"])) {
			return false
		}
	case openai.Messages, openai.Transcriptions, openai.Other:
		return false
	}
	return v.route.Cache.Covers(string(v.asked.API))
}

// permits tells whether a route's rules let a request use the cache.
func permits(c *config.Cache, asked *openai.Request, control cache.Control) bool {
	if control.Refused || c.OptIn && !control.Asked {
		return false
	}
	if c.MaxTemperature < 0 {
		return true
	}
	temperature := gjson.ParseBytes(asked.Fields["temperature"])
	return temperature.Type == gjson.Number && temperature.Num <= c.MaxTemperature ||
		!temperature.Exists() && c.MaxTemperature >= 1
}

// space is what an answer depends on beside the request's body: who asks, whom, and how.
func (v *visit) space() []string {
	space := []string{v.route.ID, v.request.Path}
	if len(v.route.Choices) > 1 { // who asks says whom
		for _, t := range v.route.Choices[v.choiceNumber()].Targets {
			space = append(space, "upstream", t.URL())
		}
	}
	if v.route.Cache.PerClient {
		if v.decision.Client != nil {
			space = append(space, "client", v.decision.Client.Name)
		} else {
			space = append(space, "address", v.request.Address.String())
		}
	}
	for _, name := range v.dependsOn() {
		space = append(space, name, v.request.Get(name))
	}
	return space
}

// dependsOn names the headers that an answer depends on. Where a client's own key travels on, it is the
// upstream that decides who may have an answer: so only those who show that key.
func (v *visit) dependsOn() []string {
	names := []string{"openai-organization", "openai-project", "openai-beta"}
	if v.decision.Client == nil && v.route.Auth == config.AuthPassthrough {
		names = append(names, "authorization", "x-api-key", "api-key", "x-goog-api-key")
	}
	return names
}

// form tells apart what cannot share one call, beside the key: who wants a stream, and its usage.
func (v *visit) form() string {
	return string(v.caching.key[:]) + strconv.FormatBool(v.asked.Stream) + strconv.FormatBool(v.forced || v.asked.IncludesUsage())
}

// keepingOf gathers the answer of a call for the cache, if it is to be kept.
func (g *Gate) keepingOf(v *visit) *keeping {
	k := v.caching
	if k == nil || !k.keeps || k.result.Spared() {
		return nil
	}
	return &keeping{
		gate: g, key: k.key, cache: v.route.Cache, api: v.asked.API, began: time.Now(),
		toldUsage: v.forced || v.asked.IncludesUsage(),
		bytes:     body{budget: &g.taps, most: g.options.MaxEntry},
	}
}

// cacheResult is empty where the cache had nothing to do with it.
func (v *visit) cacheResult() exchange.CacheResult {
	if v.caching == nil {
		return ""
	}
	return v.caching.result
}

func notCached() *exchange.Refusal {
	return &exchange.Refusal{
		Status: 504, Type: "invalid_request_error", Code: "not_cached",
		Message: "Tollgate: the answer is not in the cache, and the request says only-if-cached.",
		Headers: []exchange.Header{{Name: "x-should-retry", Value: "false"}},
	}
}
