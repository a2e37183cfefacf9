package cache

import (
	"bytes"
	"errors"
	"slices"
)

const (
	maxDepth = 64 // of values in values; OpenAI's own limits are below 20

	// maxMoved is how many bytes may be moved to put members in order, for each that is read: objects in
	// objects could otherwise be made so that the work grows with the depth.
	maxMoved = 32
)

var (
	errMalformed = errors.New("not valid JSON")
	errDeep      = errors.New("nested too deep")
)

// canonical writes JSON so that all that means the same is written the same, and is JSON again: as RFC
// 8785 says, but numbers keep all their digits (see number), half of a surrogate pair stays the escape
// that it was, and members are in the order of their names' bytes.
type canonical struct {
	out     []byte
	in      []byte
	at      int
	depth   int
	moved   int
	members []member // of the objects in progress, the innermost last
}

// member is where an object's member lies in out. Its name ends where its value begins.
type member struct{ start, value, end int }

// reset makes ready for another document.
func (c *canonical) reset(in []byte) {
	c.in, c.at, c.depth, c.moved, c.members = in, 0, 0, 0, c.members[:0]
}

// document appends a whole document. Its errors quote nothing of it.
func (c *canonical) document(in []byte) error {
	c.reset(in)
	c.space()
	if err := c.value(); err != nil {
		return err
	}
	c.space()
	if c.at < len(c.in) {
		return errMalformed
	}
	return nil
}

func (c *canonical) value() error {
	switch c.peek() {
	case '{', '[':
		return c.nested()
	case '"':
		return c.string()
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	}
	return c.number()
}

func (c *canonical) nested() (err error) {
	if c.depth++; c.depth > maxDepth {
		return errDeep
	}
	if c.peek() == '{' {
		err = c.object()
	} else {
		err = c.array()
	}
	c.depth--
	return err
}

func (c *canonical) literal(word string) error {
	if !bytes.HasPrefix(c.in[c.at:], []byte(word)) {
		return errMalformed
	}
	c.at += len(word)
	c.out = append(c.out, word...)
	return nil
}

func (c *canonical) array() error {
	c.copy()
	if c.space(); c.peek() == ']' {
		c.copy()
		return nil
	}
	for {
		c.space()
		if err := c.value(); err != nil {
			return err
		}
		if c.space(); c.peek() == ']' {
			c.copy()
			return nil
		}
		if c.peek() != ',' {
			return errMalformed
		}
		c.copy()
	}
}

func (c *canonical) object() error {
	c.copy()
	first := len(c.members)
	if c.space(); c.peek() == '}' {
		c.copy()
		return nil
	}
	for {
		if err := c.member(); err != nil {
			return err
		}
		if c.space(); c.peek() == '}' {
			break
		}
		if c.peek() != ',' {
			return errMalformed
		}
		c.copy()
	}
	if err := c.order(first); err != nil {
		return err
	}
	c.members = c.members[:first]
	c.copy()
	return nil
}

func (c *canonical) member() error {
	m := member{start: len(c.out)}
	if c.space(); c.peek() != '"' {
		return errMalformed
	}
	if err := c.string(); err != nil {
		return err
	}
	if c.space(); c.peek() != ':' {
		return errMalformed
	}
	c.copy()
	m.value = len(c.out)
	c.space()
	if err := c.value(); err != nil {
		return err
	}
	m.end = len(c.out)
	c.members = append(c.members, m)
	return nil
}

// order puts the members of an object, from the first, in the order of their names. Of two with one name
// the last counts, as for Python, JavaScript and Go.
func (c *canonical) order(first int) error {
	members := c.members[first:]
	if c.ordered(members) {
		return nil
	}
	start, end := members[0].start, len(c.out)
	if c.moved += end - start; c.moved > maxMoved*len(c.in) {
		return errDeep
	}
	slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare(c.name(a), c.name(b)) })
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(c.name(m), c.name(members[i+1])) {
			continue
		}
		if len(c.out) > end {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, c.out[m.start:m.end]...)
	}
	c.out = c.out[:start+copy(c.out[start:], c.out[end:])]
	return nil
}

func (c *canonical) ordered(members []member) bool {
	for i := 1; i < len(members); i++ {
		if bytes.Compare(c.name(members[i-1]), c.name(members[i])) >= 0 {
			return false
		}
	}
	return true
}

func (c *canonical) name(m member) []byte { return c.out[m.start:m.value] }

// space passes over white space.
func (c *canonical) space() {
	for c.at < len(c.in) {
		switch c.in[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (c *canonical) peek() byte {
	if c.at < len(c.in) {
		return c.in[c.at]
	}
	return 0
}

// copy appends the next byte as it is.
func (c *canonical) copy() {
	c.out = append(c.out, c.in[c.at])
	c.at++
}
