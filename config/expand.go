package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// reference is ${NAME}, or $${ which stands for the text ${.
var reference = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)

// variable is a name that an environment variable can have.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} in every string of the message.
func expand(message proto.Message, environment Environment) Problems {
	var problems Problems
	// The callback never fails, so neither does Range.
	_ = protorange.Range(message.ProtoReflect(), func(values protopath.Values) error {
		last := values.Index(-1)
		text, ok := last.Value.Interface().(string)
		if !ok {
			return nil
		}
		expanded, err := expandString(text, environment)
		if err != nil {
			problems = append(problems, Problem{Field: fieldPath(values), Message: err.Error()})
			return nil
		}
		if expanded != text {
			set(values, expanded)
		}
		return nil
	})
	return problems
}

func expandString(text string, environment Environment) (string, error) {
	var failed error
	expanded := reference.ReplaceAllStringFunc(text, func(match string) string {
		if match == "$${" {
			return "${"
		}
		name := strings.TrimSuffix(strings.TrimPrefix(match, "${"), "}")
		if !strings.HasSuffix(match, "}") || !variable.MatchString(name) {
			// What stands there may be a key.
			failed = errors.New("${ must be followed by a variable's name and }: write ${NAME}, or $${ for the text ${ itself")
			return match
		}
		value, ok := environment(name)
		if !ok || value == "" {
			failed = fmt.Errorf("the environment variable %s is not set, or empty", name)
		}
		return value
	})
	return expanded, failed
}

// set writes a string where the path of values ends: in a field, or in a list.
func set(values protopath.Values, text string) {
	parent, value := values.Index(-2), protoreflect.ValueOfString(text)
	switch last := values.Index(-1).Step; last.Kind() {
	case protopath.FieldAccessStep:
		parent.Value.Message().Set(last.FieldDescriptor(), value)
	case protopath.ListIndexStep:
		parent.Value.List().Set(last.ListIndex(), value)
	}
}

// fieldPath prints a path as people write it: routes[0].upstream.
func fieldPath(values protopath.Values) string {
	return strings.TrimPrefix(values.Path[1:].String(), ".")
}
