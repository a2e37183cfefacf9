package extproc

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tollgate/config"
	"tollgate/extproc/cache"
	"tollgate/extproc/exchange"
	"tollgate/extproc/openai"
)

// putWithin bounds how long the cache's store may take to keep an answer.
const putWithin = 5 * time.Second

// keeping gathers an answer for the cache. A nil keeping keeps nothing.
type keeping struct {
	gate  *Gate
	key   cache.Key
	cache *config.Cache
	api   openai.API
	began time.Time
	waits bool // the answer's end waits until it is kept

	toldUsage bool // see cache.Entry

	status      int
	contentType string
	stream      bool
	bytes       body
}

func (k *keeping) begin(status int, contentType string, stream bool) {
	if k == nil {
		return
	}
	k.status, k.contentType, k.stream = status, contentType, stream
	if status != 200 {
		k.drop()
	}
}

func (k *keeping) add(piece []byte) {
	if k != nil {
		k.bytes.add(piece)
	}
}

// all takes a whole body, which nobody else changes.
func (k *keeping) all(bytes []byte) {
	if k == nil || k.bytes.gone {
		return
	}
	if k.bytes.large = len(bytes) > k.bytes.most; k.bytes.large {
		k.drop()
		return
	}
	k.bytes.bytes, k.bytes.kept = bytes, true // who has them gives them back
}

// inTap says that the answer goes by the tap, which must not wait.
func (k *keeping) inTap() {
	if k != nil {
		k.waits = false
	}
}

// drop keeps nothing of this answer.
func (k *keeping) drop() {
	if k == nil {
		return
	}
	k.bytes.free()
	k.bytes.gone = true
}

// done keeps the answer if it is whole and successful.
func (k *keeping) done(answer *openai.Answer, end exchange.End) {
	if k == nil {
		return
	}
	defer k.bytes.free()
	if k.bytes.gone || end.Cause != exchange.Whole || answer == nil {
		return
	}
	if err := cache.Storable(k.api, k.status, answer, k.stream, k.bytes.bytes); err != nil {
		k.gate.log.Debug("an answer is not kept", zap.Error(err))
		return
	}
	entry := &cache.Entry{
		Stored: end.Last, Expires: end.Last.Add(k.cache.TTL),
		Stream: k.stream, ToldUsage: k.toldUsage, ContentType: k.contentType, Body: k.bytes.bytes,
		Model: answer.Model, Took: end.Last.Sub(k.began),
	}
	if answer.Usage != nil {
		entry.Usage = *answer.Usage
	}
	if k.waits {
		k.gate.keep(k.key, entry)
		return
	}
	k.gate.settling.Go(func() { k.gate.keep(k.key, entry) })
}

// keep stores an entry.
func (g *Gate) keep(key cache.Key, entry *cache.Entry) {
	ctx, cancel := context.WithTimeout(context.Background(), putWithin)
	defer cancel()
	if err := g.options.Cache.Put(ctx, key, entry); err != nil {
		g.log.Debug("an answer could not be kept", zap.Error(err)) // who watches the store says so once
	}
}
