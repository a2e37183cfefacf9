package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// referencePage writes docs/config.md: every field, as the schema's comments explain it.
func referencePage(file *protogen.File) []byte {
	var out strings.Builder
	out.WriteString("# tollgate.yaml: every field\n\n<!-- Made by `make proto` from proto/tollgate/v1/config.proto. -->\n\n")
	for _, comment := range file.Proto.GetSourceCodeInfo().GetLocation() {
		if len(comment.GetPath()) == 1 && comment.GetPath()[0] == syntaxField {
			_, rest, _ := strings.Cut(comments(protogen.Comments(comment.GetLeadingComments())), "\n\n") // without what that file is
			out.WriteString(escaped(rest) + "\n\n")
		}
	}
	out.WriteString("Editors complete and check the file where its first line is\n" +
		"`# yaml-language-server: $schema=tollgate.schema.json`, and that file beside it is what\n" +
		"`tollgate schema > tollgate.schema.json` prints.\n\n")
	for i, message := range file.Messages {
		if i > 0 {
			fmt.Fprintf(&out, "## %s\n\n%s\n\n", message.Desc.Name(), escaped(comments(message.Comments.Leading)))
		}
		for _, field := range message.Fields {
			fmt.Fprintf(&out, "- **`%s`** (%s) %s\n", field.Desc.Name(), kindOf(field), item(comments(field.Comments.Leading)))
		}
		out.WriteString("\n")
	}
	return []byte(strings.TrimRight(out.String(), "\n") + "\n")
}

// syntaxField is the number of the field syntax in a FileDescriptorProto, before which the file's own comment stands.
const syntaxField = 12

// comments is a comment with its lines and without its marks.
func comments(c protogen.Comments) string {
	lines := strings.Split(strings.TrimSpace(string(c)), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// item sets the lines of a list's item under its first.
func item(text string) string { return strings.ReplaceAll(escaped(text), "\n", "\n  ") }

// escaped keeps stars from being marks.
func escaped(text string) string { return strings.ReplaceAll(text, "*", `\*`) }

// kindOf says what a field holds, with a link where that has fields of its own.
func kindOf(field *protogen.Field) string {
	kind := "text"
	switch {
	case isDuration(field):
		kind = "duration"
	case field.Message != nil:
		name := string(field.Message.Desc.Name())
		kind = fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	case field.Desc.Kind() == protoreflect.BoolKind:
		kind = "true or false"
	case field.Desc.Kind() == protoreflect.DoubleKind:
		kind = "number"
	case field.Desc.Kind() == protoreflect.Uint32Kind, field.Desc.Kind() == protoreflect.Uint64Kind:
		kind = "whole number"
	}
	if field.Desc.IsList() {
		return "list of " + kind
	}
	return kind
}
