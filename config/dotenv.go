package config

import (
	"regexp"
	"strings"
	"unicode"
)

// A .env file is read as python-dotenv reads it, which is what OpenAI-Forward's files are written
// for. The readers that Go has know another grammar: they expand $NAME without braces, which
// changes keys that hold a dollar.
//
//	NAME=value # comment      an unquoted value ends where white space and # follow
//	export NAME='it\'s'       ' and " quote over several lines; \ before the quote or \ itself
//	NAME="a\tb"               in " also \a \b \f \n \r \t \v
//	NAME="${OTHER:-default}"  also where ' quotes: the variable, else the default, else nothing
//	NAME                      a name without a value sets nothing
//
// Of a name that is given twice the last counts. One thing is read otherwise: a byte order mark is
// no part of the first name.

// binding is one NAME=value of a .env file.
type binding struct {
	name, value string
	set         bool // whether there was an = at all
	line        int  // from 1

	field string // of an openai-forward-config.yaml; empty: it stands in a .env
}

// readDotenv gives the variables that a .env file sets, beside an environment that wins over it:
// for the values of its own variables, and in what ${NAME} and ${NAME:-default} stand for. Broken
// is what python-dotenv would skip; its names may be empty.
func readDotenv(content string, environment Environment) (variables map[string]binding, broken []binding) {
	bindings, broken := parseDotenv(content)
	variables = map[string]binding{}
	for _, b := range bindings {
		b.value = interpolate(b.value, variables, environment)
		variables[b.name] = b
	}
	return variables, broken
}

// dotenvReference is ${NAME} or ${NAME:-default}.
var dotenvReference = regexp.MustCompile(`\$\{([^}:]*)(?::-([^}]*))?\}`)

// interpolate puts in for each reference what it stands for: never the text ${ again.
func interpolate(value string, earlier map[string]binding, environment Environment) string {
	return dotenvReference.ReplaceAllStringFunc(value, func(reference string) string {
		match := dotenvReference.FindStringSubmatch(reference)
		name, otherwise := match[1], match[2]
		if value, ok := environment(name); ok {
			return value
		}
		if b, ok := earlier[name]; ok {
			return b.value
		}
		return otherwise
	})
}

// parseDotenv reads the bindings of a .env file, in their order, and those that are broken: of
// each the rest of the line is skipped.
func parseDotenv(content string) (bindings, broken []binding) {
	content = strings.TrimPrefix(content, "\ufeff")
	content = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(content)
	r := &dotenvReader{rest: content, line: 1}
	for {
		r.take(isSpace)
		if r.rest == "" {
			return bindings, broken
		}
		line := r.line
		b, ok := r.binding()
		b.line = line
		switch {
		case !ok:
			r.take(inLine)
			broken = append(broken, b)
		case b.name != "":
			bindings = append(bindings, b)
		}
	}
}

// dotenvReader walks over a file's text, whose lines end with LF.
type dotenvReader struct {
	rest string
	line int
}

// isSpace is what Python counts as white space.
func isSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

func isBlank(c rune) bool { return isSpace(c) && c != '\n' }

func inLine(c rune) bool { return c != '\n' }

func inName(c rune) bool { return c != '=' && c != '#' && !isSpace(c) }

// advance takes the next n bytes.
func (r *dotenvReader) advance(n int) string {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	r.line += strings.Count(taken, "\n")
	return taken
}

// take takes all characters up to the first that is of another kind.
func (r *dotenvReader) take(kind func(rune) bool) string {
	return r.advance(len(r.rest) - len(strings.TrimLeftFunc(r.rest, kind)))
}

// at tells whether a text comes next.
func (r *dotenvReader) at(text string) bool { return strings.HasPrefix(r.rest, text) }

// binding reads a line, or the several lines of a quoted value. A comment is a binding without name.
func (r *dotenvReader) binding() (b binding, ok bool) {
	r.export()
	if !r.at("#") {
		if b.name = r.name(); b.name == "" {
			return b, false
		}
	}
	r.take(isBlank)
	if r.at("=") {
		r.advance(1)
		r.take(isBlank)
		if b.value, b.set = r.value(); !b.set {
			return b, false
		}
	}
	r.take(isBlank)
	if r.at("#") {
		r.take(inLine)
	}
	return b, r.rest == "" || r.at("\n")
}

// export skips the word export, if a name may follow it.
func (r *dotenvReader) export() {
	after := strings.TrimPrefix(r.rest, "export")
	if name := strings.TrimLeftFunc(after, isBlank); len(name) < len(after) && len(after) < len(r.rest) {
		r.advance(len(r.rest) - len(name))
	}
}

// name reads a name, which may be quoted; empty: there is none.
func (r *dotenvReader) name() string {
	if !r.at("'") {
		return r.take(inName)
	}
	length := strings.IndexByte(r.rest[1:], '\'')
	if length <= 0 {
		return ""
	}
	return strings.Trim(r.advance(length+2), "'")
}

func (r *dotenvReader) value() (string, bool) {
	switch {
	case r.at("'"):
		return r.quoted('\'', `\'`)
	case r.at(`"`):
		return r.quoted('"', `\'"abfnrtv`)
	}
	value := r.take(inLine)
	space := false
	for i, c := range value {
		if space && c == '#' {
			value = value[:i]
			break
		}
		space = isSpace(c)
	}
	return strings.TrimRightFunc(value, isSpace), true
}

// quoted reads up to the closing quote: the first one that no backslash precedes; where there is
// none, the last that one does. Escapes are the characters that mean something after a backslash.
func (r *dotenvReader) quoted(quote byte, escapes string) (string, bool) {
	end := -1
	for i := 1; i < len(r.rest); i++ {
		if r.rest[i] == quote {
			end = i
			if r.rest[i-1] != '\\' {
				break
			}
		}
	}
	if end < 0 {
		return "", false
	}
	value := r.advance(end + 1)
	return unescape(value[1:end], escapes), true
}

// unescape puts in what a backslash and a character stand for.
func unescape(text, escapes string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(escapes, text[i+1]) >= 0 {
			i++
			b.WriteByte(meaning(text[i]))
		} else {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// meaning is what a backslash and a character stand for: a control character, or the character.
func meaning(c byte) byte {
	const letters, controls = "abfnrtv", "\a\b\f\n\r\t\v"
	if i := strings.IndexByte(letters, c); i >= 0 {
		return controls[i]
	}
	return c
}
