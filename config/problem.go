package config

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 where the file has no line for it
	Field        string // the path in the schema, such as routes[0].upstream; may be empty
	Message      string // what is wrong and what would be right
}

// String gives FILE:LINE:COLUMN: FIELD: MESSAGE, without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is the error of a configuration that cannot be used: all that was found wrong, so that
// it can be mended in one go.
type Problems []Problem

// Error gives one line a problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// suggestion gives `; did you mean "x"?` for the nearest of the right names, or all of them where
// none is near.
func suggestion(wrong string, right []string) string {
	const far = 0.3 // two of three letters differ
	best, score := "", far
	for _, name := range right {
		if s := levenshtein.Match(strings.ToLower(wrong), strings.ToLower(name), nil); s > score {
			best, score = name, s
		}
	}
	if best == "" {
		return "; there are " + strings.Join(right, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
