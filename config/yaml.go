package config

import (
	"regexp"
	"strconv"
	"strings"
)

// yamlLine is how the YAML parser names a line.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// yamlProblem takes the parser's own name and the line out of its errors, and says what to look for.
func yamlProblem(file string, err error) Problem {
	p := Problem{File: file, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if match := yamlLine.FindStringSubmatch(p.Message); match != nil {
		p.Line, _ = strconv.Atoi(match[1])
		p.Message = p.Message[len(match[0]):]
		p.Column = 1
	}
	hint, begun := yamlHint(p.Message)
	if begun { // such lines are counted from 0, and the first is left out
		p.Line, p.Column = p.Line+1, 1
	}
	p.Message = "not YAML: " + p.Message + hint
	return p
}

// yamlHint says what the parser's words mean in practice, and whether its line is where the list or the fields at
// fault have begun.
func yamlHint(message string) (hint string, begun bool) {
	switch message {
	case "did not find expected '-' indicator":
		return ": in the list that begins here all items must be indented alike, each after -", true
	case "did not find expected key":
		return ": of what begins here all fields must be indented alike, each with a colon", true
	case "did not find expected ',' or ']'":
		return ": the list that begins here must end with ], with a comma between items, and text such as ${NAME} in quotes", true
	case "did not find expected ',' or '}'":
		return ": what begins here must end with }, with a comma between fields, and text such as ${NAME} in quotes", true
	case "did not find expected node content":
		return ": a value is missing in what begins here", true
	case "found character that cannot start any token":
		return ": indent by spaces, not by tabs, and quote text that begins with a special character", false
	case "mapping values are not allowed in this context":
		return ": a colon where none can be: indent the line as its neighbours, or quote the text that holds it", false
	case "could not find expected ':'":
		return ": write NAME: VALUE, with a space after the colon", false
	case "found unexpected end of stream":
		return ": a quote is not closed", false
	}
	return "", false
}
