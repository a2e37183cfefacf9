package extproc

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tollgate/config"
	"tollgate/extproc/exchange"
)

// replay answers from the cache: as fast as the route's pace lets it, and no longer than the client stays.
func (g *Gate) replay(v *visit) error {
	hit := v.caching.hit
	v.decision.Key = "" // none was used
	h := g.hear(g.admitted(v))
	cause := exchange.Cut
	defer func() { h.finish(cause) }()
	headers := append(v.ownHeaders(hit.ContentType),
		exchange.Header{Name: "age", Value: strconv.Itoa(int(hit.Age(time.Now()).Seconds()))})
	if !hit.Stream {
		headers = append(headers, exchange.Header{Name: "content-length", Value: strconv.Itoa(len(hit.Body))})
	}
	if err := v.answer(http.StatusOK, headers); err != nil {
		return err
	}
	h.begin(http.StatusOK, hit.ContentType, "")
	h.body(hit.Body)
	r := v.newResponse(v.answerBody)
	r.filter = nil // it has its form already
	r.shape(hit.ContentType, "")
	if err := r.chunk(hit.Body, true); err != nil {
		return fmt.Errorf("answering from the cache: %w", err)
	}
	cause = exchange.Whole
	g.options.Cached(v.route.Route, exchange.CacheHit, Spared{Bytes: int64(len(hit.Body)), Usage: hit.Usage, Took: hit.Took})
	return nil
}

// ownHeaders are the headers of an answer that the gate gives itself: Envoy adds none to these.
func (v *visit) ownHeaders(contentType string) []exchange.Header {
	headers := []exchange.Header{{Name: "content-type", Value: contentType}}
	for _, of := range []config.Quantity{config.OfRequests, config.OfTokens} {
		for _, key := range []string{config.LimitKey, config.RemainingKey, config.ResetKey} {
			if value, ok := v.said[key+string(of)]; ok {
				headers = append(headers, exchange.Header{Name: "x-ratelimit-" + key + string(of), Value: value.GetStringValue()})
			}
		}
	}
	return append(headers, exchange.Header{Name: "cache-status", Value: v.said[config.CacheStatusKey].GetStringValue()})
}
