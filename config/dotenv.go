package config

import (
	"regexp"
	"strings"
)

// binding is one NAME=value of a .env file.
type binding struct {
	name, value string
	set         bool // whether there was an = at all
	line        int  // from 1
}

// The pieces of python-dotenv's grammar, which is that of OpenAI-Forward's .env files. Go's own
// readers know other grammars: they expand $NAME without braces, which changes keys that hold a
// dollar.
var (
	dotenvSpace        = regexp.MustCompile(`^\s*`)
	dotenvBlank        = regexp.MustCompile(`^[^\S\r\n]*`)
	dotenvExport       = regexp.MustCompile(`^(?:export[^\S\r\n]+)?`)
	dotenvQuotedKey    = regexp.MustCompile(`^'([^']+)'`)
	dotenvKey          = regexp.MustCompile(`^([^=#\s]+)`)
	dotenvEqual        = regexp.MustCompile(`^=[^\S\r\n]*`)
	dotenvSingleQuoted = regexp.MustCompile(`^'((?:\\'|[^'])*)'`)
	dotenvDoubleQuoted = regexp.MustCompile(`^"((?:\\"|[^"])*)"`)
	dotenvUnquoted     = regexp.MustCompile(`^([^\r\n]*)`)
	dotenvEnd          = regexp.MustCompile(`^(?:[^\S\r\n]*#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r|$)`)
	dotenvRest         = regexp.MustCompile(`^[^\r\n]*(?:\r\n|\n|\r)?`)

	dotenvComment       = regexp.MustCompile(`\s+#.*`)
	dotenvSingleEscapes = regexp.MustCompile(`\\[\\']`)
	dotenvDoubleEscapes = regexp.MustCompile(`\\[\\'"abfnrtv]`)
	dotenvReference     = regexp.MustCompile(`\$\{([^}:]*)(?::-([^}]*))?\}`)
)

// dotenvReader walks over a file's text.
type dotenvReader struct {
	rest string
	line int
}

// take reads what matches; the first group, if the expression has one.
func (r *dotenvReader) take(expression *regexp.Regexp) (string, bool) {
	match := expression.FindStringSubmatch(r.rest)
	if match == nil {
		return "", false
	}
	r.rest = r.rest[len(match[0]):]
	r.line += lines(match[0])
	return match[len(match)-1], true
}

// lines counts line ends: LF, CRLF, CR.
func lines(text string) int {
	return strings.Count(text, "\n") + strings.Count(text, "\r") - strings.Count(text, "\r\n")
}

// parseDotenv reads a .env file, and lists the lines that python-dotenv would skip.
func parseDotenv(content string) (bindings []binding, skipped []int) {
	r := &dotenvReader{rest: content, line: 1}
	for {
		r.take(dotenvSpace)
		if r.rest == "" {
			return bindings, skipped
		}
		line := r.line
		b, ok := r.binding()
		if !ok {
			r.take(dotenvRest)
			skipped = append(skipped, line)
		} else if b.name != "" {
			b.line = line
			bindings = append(bindings, b)
		}
	}
}

// binding reads a line, or the several lines of a quoted value. A comment is a binding without name.
func (r *dotenvReader) binding() (b binding, ok bool) {
	r.take(dotenvExport)
	switch {
	case strings.HasPrefix(r.rest, "#"):
	case strings.HasPrefix(r.rest, "'"):
		b.name, ok = r.take(dotenvQuotedKey)
	default:
		b.name, ok = r.take(dotenvKey)
	}
	if !ok && !strings.HasPrefix(r.rest, "#") {
		return b, false
	}
	r.take(dotenvBlank)
	if strings.HasPrefix(r.rest, "=") {
		r.take(dotenvEqual)
		b.set = true
		if b.value, ok = r.value(); !ok {
			return b, false
		}
	}
	_, ok = r.take(dotenvEnd)
	return b, ok
}

func (r *dotenvReader) value() (string, bool) {
	switch {
	case strings.HasPrefix(r.rest, "'"):
		value, ok := r.take(dotenvSingleQuoted)
		return dotenvSingleEscapes.ReplaceAllStringFunc(value, unescape), ok
	case strings.HasPrefix(r.rest, `"`):
		value, ok := r.take(dotenvDoubleQuoted)
		return dotenvDoubleEscapes.ReplaceAllStringFunc(value, unescape), ok
	}
	value, _ := r.take(dotenvUnquoted)
	return strings.TrimRight(dotenvComment.ReplaceAllString(value, ""), " \t\v\f"), true
}

// unescape gives what a backslash and a letter stand for.
func unescape(escape string) string {
	if i := strings.IndexByte("abfnrtv", escape[1]); i >= 0 {
		return string("\a\b\f\n\r\t\v"[i])
	}
	return escape[1:]
}

// readDotenv gives the variables that a .env file sets, beside an environment that wins over it:
// for the values of its own variables, and in what ${NAME} and ${NAME:-default} stand for.
func readDotenv(content string, environment Environment) (variables map[string]binding, skipped []int) {
	bindings, skipped := parseDotenv(content)
	variables = map[string]binding{}
	for _, b := range bindings {
		b.value = dotenvReference.ReplaceAllStringFunc(b.value, func(reference string) string {
			match := dotenvReference.FindStringSubmatch(reference)
			if value, ok := environment(match[1]); ok {
				return value
			}
			if earlier, ok := variables[match[1]]; ok {
				return earlier.value
			}
			return match[2]
		})
		variables[b.name] = b
	}
	return variables, skipped
}
