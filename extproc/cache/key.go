package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"

	"tollgate/extproc/openai"
)

// format is the version of keys and of entries: an answer that was kept in another is not found.
const format = 1

// maxDepth bounds how deep a request's JSON may be nested.
const maxDepth = 500

// errTooDeep is the error of a request that is nested deeper than can be compared.
var errTooDeep = errors.New("the request's JSON is nested too deep")

// means nothing to the answer: how it is sent, who asks, and what is meant for a cache.
func meansNothing(member string) bool {
	switch member {
	case "stream", "stream_options", "user", "safety_identifier", "prompt_cache_key", "metadata", "caching":
		return true
	}
	return false
}

// scratch is where a request is written in its canonical form.
var scratch = sync.Pool{New: func() any { return new(canonical) }}

// KeyOf is the key of a request, within a space that says what else an answer depends on: route, client
// and the like. Two requests of one space have the same key if, and only if, they mean the same: their
// JSON may differ in the order of members, white space, the forms of numbers and escapes. The error
// says that a request cannot be compared.
//
// The body is one that [openai.ParseRequest] took: it is valid.
func KeyOf(request *openai.Request, space ...string) (Key, error) {
	c := scratch.Get().(*canonical) //nolint:forcetypeassert // nothing else is put there
	defer scratch.Put(c)
	c.out, c.names = c.out[:0], c.names[:0]
	c.out = append(c.out, format)
	c.text(string(request.API))
	c.out = binary.AppendUvarint(c.out, uint64(len(space)))
	for _, s := range space {
		c.text(s)
	}
	for name := range request.Fields {
		if !meansNothing(name) {
			c.names = append(c.names, name)
		}
	}
	slices.Sort(c.names)
	for _, name := range c.names {
		c.text(name)
		s := scanner{canonical: c, in: request.Fields[name]}
		if err := s.value(0); err != nil {
			return Key{}, err
		}
	}
	return sha256.Sum256(c.out), nil
}

// canonical is JSON written so that equal values, and no others, are equal bytes.
type canonical struct {
	out     []byte
	names   []string
	members []member
}

// member is where a member of an object was written.
type member struct {
	name     string
	from, to int // its value
}

// text writes a string behind its length.
func (c *canonical) text(s string) {
	c.out = binary.AppendUvarint(c.out, uint64(len(s)))
	c.out = append(c.out, s...)
}

// object takes the place of what was written since a mark by the members' digest: in the order of their
// names, of two with one name the last, as upstreams take them.
func (c *canonical) object(mark, first int) {
	members := c.members[first:]
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	digest := sha256.New()
	var length [binary.MaxVarintLen64]byte
	for i, m := range members {
		if i+1 < len(members) && members[i+1].name == m.name {
			continue
		}
		digest.Write(binary.AppendUvarint(length[:0], uint64(len(m.name))))
		digest.Write([]byte(m.name))
		digest.Write(c.out[m.from:m.to])
	}
	clear(members)
	c.members = c.members[:first]
	c.out = append(c.out[:mark], '{')
	c.out = digest.Sum(c.out)
}
