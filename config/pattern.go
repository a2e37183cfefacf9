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

// Rename is what an upstream calls the models that match a pattern.
type Rename struct{ Pattern, To string }

// ModelName is what the upstream calls a model.
func (u *Upstream) ModelName(model string) string {
	for _, r := range u.Rename {
		if matches(r.Pattern, model) {
			return r.To
		}
	}
	return model
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
