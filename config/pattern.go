package config

import "strings"

// Patterns are names in which * stands for any text. None at all match every name.
type Patterns []string

// Match tells whether a name is one of them. Case counts.
func (p Patterns) Match(name string) bool {
	for _, pattern := range p {
		if matches(pattern, name) {
			return true
		}
	}
	return len(p) == 0
}

func matches(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		at := strings.Index(name, part) // the first place leaves the most for what follows
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], after
	}
}
