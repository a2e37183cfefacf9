package convert

import (
	"math"

	"github.com/tidwall/gjson"
)

// maxIndex is how many choices or tool calls an answer may have.
const maxIndex = 1024

// spread adds a list's objects to the elements that they are pieces of.
func (p *part) spread(value gjson.Result) error {
	if value.Type == gjson.Null {
		p.tell("null")
		return nil
	}
	if !value.IsArray() {
		return refuse("%s is no list", p.key)
	}
	p.tell("[]")
	n, unnamed := 0, false
	var err error
	value.ForEach(func(_, from gjson.Result) bool {
		index, named := p.indexOf(from)
		n, unnamed = n+1, unnamed || !named
		if index < 0 || index >= maxIndex || unnamed && n > 1 {
			err = refuse("%s are not told apart", p.key)
			return false
		}
		err = p.element(index).nest(from)
		return err == nil
	})
	return err
}

// indexOf says which element an object belongs to. Where upstreams leave the index out, an id that is
// new begins a tool call, and one without an id goes on with the last, if it is alone in its event:
// it is not named then. AWS Bedrock says -1 for a call that is the only one.
func (p *part) indexOf(from gjson.Result) (index int, named bool) {
	if at := from.Get("index"); at.Type != gjson.Null {
		switch {
		case at.Type != gjson.Number || at.Num != math.Trunc(at.Num) || at.Num >= maxIndex:
			return -1, true
		case at.Num == -1:
			return 0, true
		}
		return int(at.Num), true
	}
	id := from.Get("id").Raw
	for _, known := range p.parts {
		if m := known.find("id"); m != nil && !isEmpty(id) && m.value == id {
			return known.index, true
		}
	}
	if len(p.parts) == 0 {
		return 0, !isEmpty(id)
	}
	newest := p.parts[len(p.parts)-1].index
	if isEmpty(id) {
		return newest, false
	}
	return newest + 1, true
}

// element finds the element with an index, or makes it.
func (p *part) element(index int) *part {
	at := len(p.parts)
	for at > 0 && p.parts[at-1].index > index {
		at--
	}
	if at > 0 && p.parts[at-1].index == index {
		return p.parts[at-1]
	}
	made := &part{key: p.key, shape: p.shape.rest, index: index}
	p.parts = append(p.parts, nil)
	copy(p.parts[at+1:], p.parts[at:])
	p.parts[at] = made
	return made
}
