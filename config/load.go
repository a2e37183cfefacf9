package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// Environment looks up an environment variable, as [os.LookupEnv] does.
type Environment func(name string) (value string, ok bool)

// Load reads a tollgate.yaml. Its error is [Problems] where the content is at fault. Files that the
// configuration names (keys, certificates) are read too; relative paths are relative to the
// working directory.
func Load(path string, environment Environment) (*Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, content, environment)
}

// Parse is [Load] for content that is at hand; file is its name in errors.
func Parse(file string, content []byte, environment Environment) (*Config, error) {
	p, err := parse(file, content, environment)
	if err != nil {
		return nil, err
	}
	return p.config, nil
}

// parsed is a tollgate.yaml as far as it was read.
type parsed struct {
	document *document
	message  *tollgatev1.Config
	config   *Config // nil: not resolved yet
}

func parse(file string, content []byte, environment Environment) (*parsed, error) {
	p, err := read(file, content, environment)
	if err != nil {
		return nil, err
	}
	if problems := violations(p.message); len(problems) > 0 {
		return nil, p.document.locate(problems)
	}
	if problems := p.resolve(environment); len(problems) > 0 {
		return nil, p.document.locate(problems)
	}
	p.config.from(file, content)
	return p, nil
}

// read fills the message, with what variables hold.
func read(file string, content []byte, environment Environment) (*parsed, error) {
	document, err := parseYAML(file, content)
	if err != nil {
		return nil, err
	}
	message := &tollgatev1.Config{}
	shape := shapeOf(document, message.ProtoReflect().Descriptor())
	if len(shape.problems) > 0 {
		return nil, document.locate(shape.problems)
	}
	if problems := decode(file, content, message); len(problems) > 0 {
		for i := range problems {
			problems[i] = shape.explain(problems[i])
		}
		return nil, document.locate(problems)
	}
	if problems := expand(message, environment); len(problems) > 0 {
		return nil, document.locate(problems)
	}
	return &parsed{document: document, message: message}, nil
}

// resolve makes a valid message the configuration.
func (p *parsed) resolve(environment Environment) (problems Problems) {
	if p.config, problems = resolved(p.message); len(problems) > 0 {
		return problems
	}
	p.config.Source = p.document.file
	p.config.warnOfProxies(environment)
	return nil
}

// check validates a message by the rules of its schema and resolves it.
func check(message *tollgatev1.Config) (*Config, Problems) {
	if problems := violations(message); len(problems) > 0 {
		return nil, problems
	}
	return resolved(message)
}

// resolved resolves a valid message: what both ways in share.
func resolved(message *tollgatev1.Config) (*Config, Problems) {
	config, problems := resolve(message)
	if len(problems) == 0 {
		config.Text = masked(message, config)
	}
	return config, problems
}

// parseYAML reads exactly one YAML document.
func parseYAML(file string, content []byte) (*document, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, more yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, Problems{{File: file, Message: "the file is empty: it must name at least upstreams and routes"}}
	case err != nil:
		return nil, Problems{yamlProblem(file, err)}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Problems{{File: file, Line: more.Line, Column: max(more.Column, 1), Message: "a second YAML document: the file must hold one"}}
	}
	return &document{file: file, root: root.Content[0]}, nil
}

// decodeError is how protoyaml begins an error: FILE:LINE:COLUMN MESSAGE. The lines after it quote
// the file, and might show a key: they are left out.
var decodeError = regexp.MustCompile(`^(.*):(\d+):(\d+) (.*)$`)

// decode fills the message from YAML, strictly.
func decode(file string, content []byte, message *tollgatev1.Config) Problems {
	err := protoyaml.UnmarshalOptions{Path: file}.Unmarshal(content, message)
	if err == nil {
		return nil
	}
	var problems Problems
	for line := range strings.Lines(err.Error()) {
		if match := decodeError.FindStringSubmatch(strings.TrimSuffix(line, "\n")); match != nil {
			row, _ := strconv.Atoi(match[2])
			column, _ := strconv.Atoi(match[3])
			problems = append(problems, Problem{File: match[1], Line: row, Column: column, Message: match[4]})
		}
	}
	if len(problems) == 0 {
		return Problems{{File: file, Message: err.Error()}}
	}
	return problems
}

// violations asks the rules that stand in the schema itself.
func violations(message *tollgatev1.Config) Problems {
	err := protovalidate.Validate(message)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return Problems{{Message: err.Error()}}
	}
	problems := make(Problems, len(invalid.Violations))
	for i, violation := range invalid.Violations {
		problems[i] = Problem{
			Field:   protovalidate.FieldPathString(violation.Proto.GetField()),
			Message: inWords(violation.Proto),
		}
	}
	return problems
}

// inWords says what a field must be; the schema's own words, or ours where a general rule has none.
func inWords(violation *validate.Violation) string {
	switch violation.GetRuleId() {
	case "string.in":
		choices := strings.TrimPrefix(violation.GetMessage(), "must be in list [")
		return "must be one of " + strings.TrimPrefix(strings.TrimSuffix(choices, "]"), ", ")
	case "string.min_len":
		return "must not be empty"
	case "repeated.min_items":
		return "must hold at least one"
	case "string.pattern":
		return "must be a name: up to 63 letters, digits, dots, dashes and the like, the first a letter or digit"
	}
	return violation.GetMessage()
}
