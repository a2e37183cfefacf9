package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape holds a document against the schema: names that the schema does not have, names given
// twice, values of another kind. Its sentences quote names, never values, which may be keys.
type shape struct {
	problems Problems
	fields   map[place]field // what begins where
}

// place is a line and a column, from 1.
type place [2]int

// field is a field of the schema and its path in the document.
type field struct {
	path       string
	descriptor protoreflect.FieldDescriptor
}

// shapeOf compares a document with the schema.
func shapeOf(d *document, message protoreflect.MessageDescriptor) *shape {
	s := &shape{fields: map[place]field{}}
	if root := unalias(d.root); root.Kind == yaml.MappingNode {
		s.message(root, message, "")
	} else {
		s.complain(root, "", "must hold fields: %s", strings.Join(fieldNames(message), ", "))
	}
	return s
}

func (s *shape) complain(node *yaml.Node, path, format string, args ...any) {
	s.problems = append(s.problems, Problem{Line: node.Line, Column: node.Column, Field: path, Message: fmt.Sprintf(format, args...)})
}

func (s *shape) message(node *yaml.Node, message protoreflect.MessageDescriptor, path string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := unalias(node.Content[i]), node.Content[i+1]
		descriptor, at := message.Fields().ByName(protoreflect.Name(key.Value)), join(path, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			s.complain(node.Content[i], path, "the name of a field must be a word%s", suggestion("", fieldNames(message)))
		case descriptor == nil:
			s.complain(node.Content[i], at, "no such field%s", suggestion(key.Value, fieldNames(message)))
		case seen[key.Value]:
			s.complain(node.Content[i], at, "given twice")
		default:
			s.value(value, field{path: at, descriptor: descriptor})
		}
		seen[key.Value] = true
	}
}

// value looks at a field's value: a list of values, or one.
func (s *shape) value(node *yaml.Node, f field) {
	list := unalias(node)
	switch {
	case !f.descriptor.IsList():
		s.single(node, f)
	case list.Kind != yaml.SequenceNode:
		s.complain(node, f.path, "must be a list: [a, b], or each item on a line of its own after -")
	default:
		for i, item := range list.Content {
			s.single(item, field{path: fmt.Sprintf("%s[%d]", f.path, i), descriptor: f.descriptor})
		}
	}
}

func (s *shape) single(node *yaml.Node, f field) {
	s.fields[place{node.Line, node.Column}] = f
	message := f.descriptor.Message()
	switch content := unalias(node); {
	case message == nil || wellKnown(message):
		if content.Kind != yaml.ScalarNode || content.Tag == "!!null" { // or null and ~ would be keys
			s.complain(node, f.path, "%s", f.kind())
		}
	case content.Kind == yaml.MappingNode:
		s.message(content, message, f.path)
	case content.Tag != "!!null": // which is a message without fields
		s.complain(node, f.path, "must hold fields: %s", strings.Join(fieldNames(message), ", "))
	}
}

// wellKnown tells whether a message is written in a form of its own, such as 10s.
func wellKnown(message protoreflect.MessageDescriptor) bool {
	return message.FullName().Parent() == "google.protobuf"
}

// kind says what the field's value must be.
func (f field) kind() string {
	switch f.descriptor.Kind() {
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return "must be a whole number, 0 or more"
	case protoreflect.DoubleKind:
		return "must be a number"
	case protoreflect.MessageKind:
		return "must be a duration such as 500ms, 10s, 5m or 1h"
	}
	return "must be a text"
}

// explain puts a problem that the decoder found into our words, which do not quote the value.
func (s *shape) explain(p Problem) Problem {
	if f, ok := s.fields[place{p.Line, p.Column}]; ok {
		p.Field, p.Message = f.path, f.kind()
	}
	return p
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

func fieldNames(message protoreflect.MessageDescriptor) []string {
	names := make([]string, message.Fields().Len())
	for i := range names {
		names[i] = string(message.Fields().Get(i).Name())
	}
	return names
}
