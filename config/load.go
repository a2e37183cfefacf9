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
	document, err := parseYAML(file, content)
	if err != nil {
		return nil, err
	}
	message := &tollgatev1.Config{}
	if problems := unknownFields(document.root, message.ProtoReflect().Descriptor(), ""); len(problems) > 0 {
		return nil, document.locate(problems)
	}
	if err := decode(file, content, message); err != nil {
		return nil, err
	}
	if problems := expand(message, environment); len(problems) > 0 {
		return nil, document.locate(problems)
	}
	config, problems := check(message)
	if len(problems) > 0 {
		return nil, document.locate(problems)
	}
	config.Source = file
	return config, nil
}

// check validates a message by the rules of its schema and resolves it: what both ways in share.
func check(message *tollgatev1.Config) (*Config, Problems) {
	if problems := validate(message); len(problems) > 0 {
		return nil, problems
	}
	return resolve(message)
}

// parseYAML reads exactly one YAML document.
func parseYAML(file string, content []byte) (*document, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, more yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, Problems{{File: file, Message: "the file is empty: it must name at least upstreams and routes"}}
	case err != nil:
		return nil, Problems{{File: file, Message: yamlMessage(err)}}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Problems{{File: file, Line: more.Line, Column: max(more.Column, 1), Message: "a second YAML document: the file must hold one"}}
	}
	return &document{file: file, root: root.Content[0]}, nil
}

// yamlMessage drops the parser's own name from its errors.
func yamlMessage(err error) string {
	return "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
}

// decodeError is how protoyaml begins an error: FILE:LINE:COLUMN MESSAGE. The lines after it quote
// the file, and might show a key: they are left out.
var decodeError = regexp.MustCompile(`^(.*):(\d+):(\d+) (.*)$`)

// decode fills the message from YAML, strictly.
func decode(file string, content []byte, message *tollgatev1.Config) error {
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

// validate asks the rules that stand in the schema itself.
func validate(message *tollgatev1.Config) Problems {
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
			Message: violation.Proto.GetMessage(),
		}
	}
	return problems
}
