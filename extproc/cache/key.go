package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"tollgate/extproc/openai"
)

// keyFormat is part of each key: to be changed with what is digested, lest an old entry answers a new key.
const keyFormat = "tollgate cache key 1"

// poolable is the largest buffer that is kept for the next key.
const poolable = 1 << 20

// KeyOf digests what can change an answer: the API, the request's body and the space that it is asked in,
// such as the route, the path and the client. Bodies that mean the same have the same key: the order of
// members, white space, and the ways to write a number or a string do not matter. Those that mean
// something else have another.
//
// The error says why an answer cannot be kept: the API is not one whose answers can, or a value is
// malformed, nested too deep or a number out of all bounds.
func KeyOf(request *openai.Request, space ...string) (Key, error) {
	beside, ok := besideTheAnswer(request.API)
	if !ok {
		return Key{}, fmt.Errorf("answers of the API %q are not kept", request.API)
	}
	d := digests.Get().(*digest) //nolint:forcetypeassert // the pool holds nothing else
	defer d.free()
	d.text(keyFormat)
	d.text(string(request.API))
	d.out = binary.AppendUvarint(d.out, uint64(len(space)))
	for _, s := range space {
		d.text(s)
	}
	if err := d.fields(request, beside); err != nil {
		return Key{}, err
	}
	return sha256.Sum256(d.out), nil
}

// besideTheAnswer names the members that do not change an API's answer, but how it is sent, counted or
// priced. It returns false for APIs whose answers are not kept; those that take files are among them, as
// no field holds the file.
func besideTheAnswer(api openai.API) ([]string, bool) {
	switch api {
	case openai.Chat, openai.Completions, openai.Embeddings:
		return []string{
			"stream", "stream_options", "user", "metadata", "caching",
			"store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
		}, true
	case openai.Messages:
		return []string{"stream", "metadata", "caching"}, true
	case openai.Responses:
		// The response repeats user, metadata, safety_identifier and the like: another's are not to be told.
		// And what is stored can be named by later requests, what is not cannot.
		return []string{"stream", "stream_options", "caching"}, true
	case openai.Transcriptions, openai.Other:
	}
	return nil, false
}

// digest is what a key is made of, before it is hashed.
type digest struct {
	canonical

	names []string
}

var digests = sync.Pool{New: func() any { return &digest{} }}

func (d *digest) free() {
	d.reset(nil)
	clear(d.names) // they are parts of a request's body
	d.names, d.out = d.names[:0], d.out[:0]
	if cap(d.out) <= poolable {
		digests.Put(d)
	}
}

// text appends a string so that no other string, nor two of them, could be taken for it.
func (d *digest) text(s string) {
	d.out = binary.AppendUvarint(d.out, uint64(len(s)))
	d.out = append(d.out, s...)
}

// fields appends the body's members in the order of their names.
func (d *digest) fields(request *openai.Request, beside []string) error {
	for name := range request.Fields {
		if !slices.Contains(beside, name) {
			d.names = append(d.names, name)
		}
	}
	slices.Sort(d.names)
	for _, name := range d.names {
		// What could not be read has become a replacement character: two names may have become one.
		if strings.ContainsRune(name, utf8.RuneError) {
			return fmt.Errorf("a member's name cannot be read: %q", name)
		}
		d.text(name)
		if err := d.document(request.Fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d.out = append(d.out, '\n') // ends a number
	}
	return nil
}
