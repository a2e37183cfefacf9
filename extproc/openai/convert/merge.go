package convert

import (
	"strings"

	"github.com/tidwall/gjson"
)

// rule says how what several events tell of a member becomes one value.
type rule uint8

const (
	same    rule = iota // all that tell something tell the same
	first               // the first that tells something
	last                // the last that tells something
	joined              // strings, one after the other
	listed              // lists, one after the other
	nested              // objects, member by member
	indexed             // lists of objects: those with the same index are one
	barred              // it may tell nothing: who knows what it would become?
	dropped             // a matter of the stream alone
)

// shape is what is known of a member.
type shape struct {
	rule    rule
	as      string            // its name in the plain form, where it is another
	members map[string]*shape // of a nested object
	rest    *shape            // of members that are not named, or of the elements of a list
}

// part is a member put together.
type part struct {
	name  string
	key   string // the name in the plain form, with its quotes
	shape *shape

	value string  // what was told, or the form of nothing that it was told in (null, "", [], {})
	inner []byte  // joined, listed: what is within the quotes or brackets
	parts []*part // nested: members. indexed: elements, by index
	index int     // of an element
	round int     // how often members were added, and
	added int     // in which of its owner's rounds this one was
}

func (p *part) add(value gjson.Result) error {
	switch p.shape.rule {
	case joined:
		return p.join(value)
	case listed:
		return p.list(value)
	case nested:
		return p.nest(value)
	case indexed:
		return p.spread(value)
	case barred:
		if !isEmpty(value.Raw) {
			return refuse("%s is not known", p.key)
		}
	case same:
		if !isEmpty(p.value) && !isEmpty(value.Raw) && p.value != value.Raw {
			return refuse("two events differ in %s", p.key)
		}
	case first:
		if !isEmpty(p.value) {
			return nil
		}
	case last, dropped:
	}
	p.tell(value.Raw)
	return nil
}

// tell keeps a value unless it says less than what is known.
func (p *part) tell(value string) {
	if p.value == "" || p.value == "null" || !isEmpty(value) {
		p.value = value
	}
}

func (p *part) join(value gjson.Result) error {
	switch value.Type {
	case gjson.Null:
		p.tell("null")
		return nil
	case gjson.String:
		p.tell(`""`)
		// Escapes stay as they are: a pair of surrogates may be cut in two.
		p.inner = append(p.inner, within(value.Raw)...)
		return nil
	case gjson.False, gjson.Number, gjson.True, gjson.JSON:
	}
	return refuse("%s is no text", p.key)
}

func (p *part) list(value gjson.Result) error {
	if value.Type == gjson.Null {
		p.tell("null")
		return nil
	}
	if !value.IsArray() {
		return refuse("%s is no list", p.key)
	}
	p.tell("[]")
	more := strings.TrimSpace(within(value.Raw))
	if more != "" && len(p.inner) > 0 {
		p.inner = append(p.inner, ',')
	}
	p.inner = append(p.inner, more...)
	return nil
}

func (p *part) nest(value gjson.Result) error {
	if value.Type == gjson.Null {
		p.tell("null")
		return nil
	}
	if !value.IsObject() {
		return refuse("%s is no object", p.key)
	}
	p.tell("{}")
	p.round++
	var err error
	value.ForEach(func(name, value gjson.Result) bool {
		m := p.member(name)
		if len(p.parts) > maxMembers {
			err = refuse("it has too many members")
			return false
		}
		if m.added == p.round {
			err = refuse("an event has %s twice", m.key)
			return false
		}
		m.added = p.round
		err = m.add(value)
		return err == nil
	})
	return err
}

// member finds a member, or makes it.
func (p *part) member(name gjson.Result) *part {
	if m := p.find(name.Str); m != nil {
		return m
	}
	m := &part{name: name.Str, key: name.Raw, shape: p.shape.rest}
	if known, ok := p.shape.members[name.Str]; ok {
		m.shape = known
	}
	if m.shape.as != "" {
		m.key = `"` + m.shape.as + `"`
	}
	p.parts = append(p.parts, m)
	return m
}

func (p *part) find(name string) *part {
	for _, m := range p.parts {
		if m.name == name {
			return m
		}
	}
	return nil
}

// give sets a member that no event had, or that has another value in the plain form. The name must
// need no escapes.
func (p *part) give(name, value string) {
	m := p.find(name)
	if m == nil {
		m = &part{name: name, key: `"` + name + `"`}
		p.parts = append(p.parts, m)
	}
	m.shape, m.value = &shape{rule: last}, value
}

// appendTo writes the member's value.
func (p *part) appendTo(dst []byte) []byte {
	if p.value == "null" {
		return append(dst, p.value...)
	}
	switch p.shape.rule {
	case joined:
		return append(append(append(dst, '"'), p.inner...), '"')
	case listed:
		return append(append(append(dst, '['), p.inner...), ']')
	case indexed:
		return p.appendParts(dst, '[', ']')
	case nested:
		return p.appendParts(dst, '{', '}')
	case same, first, last, barred, dropped:
	}
	return append(dst, p.value...)
}

func (p *part) appendParts(dst []byte, open, end byte) []byte {
	dst = append(dst, open)
	for _, m := range p.parts {
		if m.shape.rule == dropped {
			continue
		}
		if dst[len(dst)-1] != open {
			dst = append(dst, ',')
		}
		if open == '{' {
			dst = append(append(dst, m.key...), ':')
		}
		dst = m.appendTo(dst)
	}
	return append(dst, end)
}
