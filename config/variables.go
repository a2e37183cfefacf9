package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// variables is an OpenAI-Forward's environment, and what was noticed while reading it.
type variables struct {
	file        string
	environment Environment
	fromFile    map[string]binding
	names       map[string]string // the variable that a field of the message comes from
	problems    Problems
	warnings    []string

	levels  *levels      // of OpenAI-Forward 0.7 and later; nil: there are none
	general map[int]bool // the numbers of routes whose services are no chats
}

func newVariables(file, content string, environment Environment) *variables {
	v := &variables{file: file, environment: environment, names: map[string]string{}, general: map[int]bool{}}
	if !utf8.ValidString(content) {
		text, _, _ := strings.Cut(strings.ToValidUTF8(content, "\x00"), "\x00")
		v.problems = append(v.problems, Problem{
			File: file, Line: 1 + strings.Count(text, "\n"), Column: 1,
			Message: "is not UTF-8 text: save the file as UTF-8",
		})
	}
	if isForwardYAML(file) {
		v.environment = func(string) (string, bool) { return "", false }
		fromFile, problems := readForwardYAML(file, content)
		v.fromFile, v.problems = fromFile, append(v.problems, problems...)
		return v
	}
	fromFile, broken := readDotenv(content, environment)
	v.fromFile = fromFile
	v.unknown()
	for _, b := range broken {
		v.broken(b)
	}
	return v
}

// broken complains about a line that cannot be read. python-dotenv skips such lines; but where one
// was meant to set a variable that counts, going on without it could open a door.
func (v *variables) broken(b binding) {
	if _, ok := v.environment(b.name); ok || !understood(b.name) {
		v.warn("%s:%d is not NAME=value and was skipped, as python-dotenv does", v.file, b.line)
		return
	}
	v.problems = append(v.problems, Problem{
		File: v.file, Line: b.line, Column: 1, Field: b.name,
		Message: "cannot be read: write NAME=value, with a closing quote and nothing but a # comment after it",
	})
}

// understood tells whether a variable has a meaning here.
func understood(name string) bool {
	switch name {
	case "OPENAI_BASE_URL", "OPENAI_ROUTE_PREFIX", "OPENAI_API_KEY", "FORWARD_KEY", "ROUTE_PREFIX",
		"EXTRA_BASE_URL", "EXTRA_ROUTE_PREFIX", "FORWARD_CONFIG",
		"OPENAI_API_KEY_CONFIG", "FORWARD_KEY_CONFIG", "LEVEL_MODELS", "CUSTOM_MODEL_CONFIG", "IP_WHITELIST", "IP_BLACKLIST",
		"PROXY", "TIMEOUT", "ssl_certfile", "ssl_keyfile":
		return true
	}
	return false
}

// get is a variable without the white space around it.
func (v *variables) get(name string) string {
	value, ok := v.environment(name)
	if !ok {
		value = v.fromFile[name].value
	}
	return strings.TrimFunc(value, isSpace)
}

// isTrue reads a variable that is a switch. As in OpenAI-Forward, all but true is false.
func (v *variables) isTrue(name string) bool {
	value := v.get(name)
	if value != "" && !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		v.warnOnce("%s is neither true nor false, and counts as false, as in OpenAI-Forward: write true to switch it on", name)
	}
	return strings.EqualFold(value, "true")
}

// list is a variable that holds items between commas; empty items do not count.
func (v *variables) list(name string) []string {
	var items []string
	for item := range strings.SplitSeq(v.get(name), ",") {
		if item = strings.TrimFunc(item, isSpace); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// words is a list whose items hold no white space: before version 0.4 that parted them, not commas.
func (v *variables) words(name string) []string {
	return strings.FieldsFunc(v.get(name), func(c rune) bool { return c == ',' || isSpace(c) })
}

func (v *variables) warn(format string, args ...any) {
	v.warnings = append(v.warnings, fmt.Sprintf(format, args...))
}

// warnOnce is warn for what may be noticed again.
func (v *variables) warnOnce(format string, args ...any) {
	if !slices.Contains(v.warnings, fmt.Sprintf(format, args...)) {
		v.warn(format, args...)
	}
}

// problem complains about a variable.
func (v *variables) problem(name, format string, args ...any) {
	p := Problem{File: "environment", Field: name, Message: fmt.Sprintf(format, args...)}
	if _, ok := v.environment(name); !ok && v.fromFile[name].set {
		p.File, p.Line, p.Column = v.file, v.fromFile[name].line, 1
		p.Field = cmp.Or(v.fromFile[name].field, name)
	}
	v.problems = append(v.problems, p)
}

// locate turns problems of the message into problems of the variables behind it. Several upstreams
// share a variable: what is wrong with it is said once.
func (v *variables) locate(problems Problems) {
	for _, p := range problems {
		v.problem(v.behind(p.Field), "%s", p.Message)
	}
}

// behind is the variable that a field comes from, or the field itself.
func (v *variables) behind(path string) string {
	name, longest := path, 0
	for field, variable := range v.names {
		if strings.HasPrefix(path, field) && len(field) > longest {
			name, longest = variable, len(field)
		}
	}
	return name
}

// sorted gives the problems in the order of the file, each once.
func (v *variables) sorted() Problems {
	slices.SortStableFunc(v.problems, func(a, b Problem) int { return a.Line - b.Line })
	var once Problems
	for _, p := range v.problems {
		if !slices.Contains(once, p) {
			once = append(once, p)
		}
	}
	return once
}

// source names where the variables came from, for people.
func (v *variables) source() string {
	if len(v.fromFile) > 0 {
		return v.file
	}
	return "the environment"
}
