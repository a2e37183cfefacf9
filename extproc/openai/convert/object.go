package convert

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxMembers is how many members an object may have. Those that are looked at have some twenty.
const maxMembers = 256

// object is a JSON object, in its own order.
type object []member

// member is a name and its value, both as they were written.
type member struct {
	name  string
	key   string // the name with its quotes
	value string
}

// parseObject takes an object's members apart. Of two with one name readers take one or the other:
// that is refused. What says how the error calls it.
func parseObject(text, what string) (object, error) {
	root := gjson.Parse(text)
	if !root.IsObject() {
		return nil, refuse("%s is not an object", what)
	}
	o := make(object, 0, 12)
	odd := false
	root.ForEach(func(name, value gjson.Result) bool {
		odd = len(o) == maxMembers || o.has(name.Str)
		o = append(o, member{name.Str, name.Raw, value.Raw})
		return !odd
	})
	if odd {
		return nil, refuse("%s has two members of one name, or too many", what)
	}
	return o, nil
}

// value is a member's value; "" if there is none.
func (o object) value(name string) string {
	for i := range o {
		if o[i].name == name {
			return o[i].value
		}
	}
	return ""
}

func (o object) has(name string) bool { return o.value(name) != "" }

// text is a member's value without its escapes; "" if it is not a string.
func (o object) text(name string) string {
	if value := o.value(name); isString(value) {
		return gjson.Parse(value).Str
	}
	return ""
}

// set gives a member a value, and adds it if there is none. The name must need no escapes.
func (o *object) set(name, value string) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, member{name, `"` + name + `"`, value})
}

// with is a copy of the object whose members of these names, where it has them, have other values.
func (o object) with(namesAndValues ...string) object {
	changed := append(object(nil), o...)
	for pair := range slices.Chunk(namesAndValues, 2) {
		if changed.has(pair[0]) {
			changed.set(pair[0], pair[1])
		}
	}
	return changed
}

// without is a copy of the object that lacks a member.
func (o object) without(name string) object {
	var rest object
	for _, m := range o {
		if m.name != name {
			rest = append(rest, m)
		}
	}
	return rest
}

func (o object) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, m.key...), ':'), m.value...)
	}
	return append(dst, '}')
}

func (o object) String() string { return string(o.appendTo(nil)) }

// parseList takes a list's elements apart. It is nil for what is not a list, or has no element.
func parseList(text string) []string {
	if !isList(text) {
		return nil
	}
	var list []string
	gjson.Parse(text).ForEach(func(_, value gjson.Result) bool {
		list = append(list, value.Raw)
		return true
	})
	return list
}

func isString(value string) bool { return strings.HasPrefix(value, `"`) }
func isList(value string) bool   { return strings.HasPrefix(value, "[") }
func isObject(value string) bool { return strings.HasPrefix(value, "{") }

// within is what lies between the quotes of a string or the brackets of a list.
func within(value string) string { return value[1 : len(value)-1] }

// isEmpty tells a value that says nothing, or is not there.
func isEmpty(value string) bool {
	switch value {
	case "", "null", `""`, "[]", "{}", "0":
		return true
	}
	return (isList(value) || isObject(value)) && strings.TrimSpace(within(value)) == ""
}

// isIndex tells whether a value is a number that counts from 0.
func isIndex(value string, n int) bool { return value == strconv.Itoa(n) }
