package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// jsonSchema writes the schema of tollgate.yaml for editors (JSON Schema, draft 2020-12). It is wider than
// what `tollgate validate` takes: it knows names, kinds and choices, and not what fields say of each other.
func jsonSchema(file *protogen.File) ([]byte, error) {
	definitions := map[string]any{}
	for _, message := range file.Messages {
		definitions[string(message.Desc.Name())] = objectSchema(message)
	}
	root := objectSchema(file.Messages[0])
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "tollgate.yaml"
	root["$defs"] = definitions
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the JSON Schema: %w", err)
	}
	return append(out, '\n'), nil
}

func objectSchema(message *protogen.Message) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, field := range message.Fields {
		schema := fieldSchema(field)
		schema["description"] = prose(field.Comments.Leading)
		properties[string(field.Desc.Name())] = schema
		if repeated := rules(field).GetRepeated(); repeated.GetMinItems() > 0 {
			required = append(required, string(field.Desc.Name()))
		}
	}
	schema := map[string]any{
		"type":                 []string{"object", "null"}, // null: without fields
		"description":          prose(message.Comments.Leading),
		"properties":           properties,
		"additionalProperties": false,
	}
	if len(required) > 0 {
		schema["type"], schema["required"] = "object", required
	}
	return schema
}

func fieldSchema(field *protogen.Field) map[string]any {
	r := rules(field)
	if !field.Desc.IsList() {
		return valueSchema(field, r)
	}
	list := map[string]any{"type": "array", "items": valueSchema(field, r.GetRepeated().GetItems())}
	if least := r.GetRepeated().GetMinItems(); least > 0 {
		list["minItems"] = least
	}
	return list
}

func valueSchema(field *protogen.Field, r *validate.FieldRules) map[string]any {
	switch field.Desc.Kind() {
	case protoreflect.MessageKind:
		if isDuration(field) {
			return reference(map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`})
		}
		return map[string]any{"$ref": "#/$defs/" + string(field.Message.Desc.Name())}
	case protoreflect.BoolKind:
		return map[string]any{"type": "boolean"}
	case protoreflect.Uint32Kind:
		u := r.GetUint32()
		return numberSchema("integer", r, float64(u.GetGte()), u.HasLte(), float64(u.GetLte()))
	case protoreflect.Uint64Kind:
		u := r.GetUint64()
		return numberSchema("integer", r, float64(u.GetGte()), u.HasLte(), float64(u.GetLte()))
	case protoreflect.DoubleKind:
		d := r.GetDouble()
		return numberSchema("number", r, d.GetGte(), d.HasLte(), d.GetLte())
	}
	return stringSchema(r.GetString())
}

// numberSchema is a number within bounds. Where 0 stands for the default, it is within them.
func numberSchema(kind string, r *validate.FieldRules, least float64, bounded bool, most float64) map[string]any {
	schema := map[string]any{"type": kind, "minimum": least}
	if r.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE {
		schema["minimum"] = 0
	}
	if bounded {
		schema["maximum"] = most
	}
	return schema
}

func stringSchema(r *validate.StringRules) map[string]any {
	schema := map[string]any{"type": "string"}
	switch {
	case len(r.GetIn()) > 0:
		var choices []string
		for _, choice := range r.GetIn() {
			if choice != "" {
				choices = append(choices, choice)
			}
		}
		schema["enum"] = choices
		return reference(schema)
	case r.GetPattern() != "":
		schema["pattern"] = r.GetPattern()
		return reference(schema)
	case r.GetMinLen() > 0:
		schema["minLength"] = r.GetMinLen()
	}
	return schema
}

// reference lets an environment variable stand in the place of a text.
func reference(schema map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "string", "pattern": `\$\{`}}}
}

func rules(field *protogen.Field) *validate.FieldRules {
	r, _ := proto.GetExtension(field.Desc.Options(), validate.E_Field).(*validate.FieldRules)
	return r
}

func isDuration(field *protogen.Field) bool {
	return field.Message != nil && field.Message.Desc.FullName() == "google.protobuf.Duration"
}

// prose is a comment without its marks and line ends. Empty lines part paragraphs.
func prose(comments protogen.Comments) string {
	var paragraphs []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(comments)), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}
