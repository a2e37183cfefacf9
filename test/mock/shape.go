package mock

import (
	"encoding/json"
	"strings"
)

// chatFormat is a structured output that a request for a chat asks for.
type chatFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// shaped is a text of JSON in which the asked stands for every text; empty where none is asked for.
func (f *chatFormat) shaped(asked string) string {
	var value any
	switch f.Type {
	case "json_object":
		value = object{"answer": asked}
	case "json_schema":
		var root schema
		_ = json.Unmarshal(f.JSONSchema.Schema, &root) // what it does not say is null
		value = root.value(asked, root.Defs, deepest)
	default:
		return ""
	}
	text, _ := json.Marshal(value) // of maps, lists and texts
	return string(text)
}

// deepest is how far a schema that names itself is followed.
const deepest = 8

// schema is what the mock knows of JSON Schema: what SDKs make of their languages' types.
type schema struct {
	Type       json.RawMessage    `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
	Const      any                `json:"const"`
	AnyOf      []*schema          `json:"anyOf"`
	Ref        string             `json:"$ref"`
	Defs       map[string]*schema `json:"$defs"`
}

// value is one that the schema allows.
func (s *schema) value(asked string, defs map[string]*schema, left int) any {
	switch {
	case s == nil || left == 0:
		return nil
	case s.Ref != "":
		return defs[strings.TrimPrefix(s.Ref, "#/$defs/")].value(asked, defs, left-1)
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].value(asked, defs, left-1)
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Const != nil:
		return s.Const
	}
	kind, kinds := "", []string{}
	if json.Unmarshal(s.Type, &kind) != nil && json.Unmarshal(s.Type, &kinds) == nil && len(kinds) > 0 {
		kind = kinds[0]
	}
	switch kind {
	case "object":
		fields := object{}
		for name, property := range s.Properties {
			fields[name] = property.value(asked, defs, left-1)
		}
		return fields
	case "array":
		return []any{s.Items.value(asked, defs, left-1)}
	case "string":
		return asked
	case "integer", "number":
		return 1
	case "boolean":
		return true
	}
	return nil
}
