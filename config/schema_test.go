package config

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
)

// TestJSONSchema: the schema takes every file that Load takes, but for texts without quotes, and sees what is wrong with names and kinds.
func TestJSONSchema(t *testing.T) {
	t.Parallel()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("tollgate.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("tollgate.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{
		"unknown-field": false, "unknown-field-camel": false, "wrong-type-bool": false, "wrong-type-duration": false,
		"wrong-type-list": false, "wrong-type-negative": false, "wrong-type-scalar": false, "bad-auth": false,
		"bad-key-header": false, "no-upstreams": false, "client-without-key": false, "trusted-hops-too-large": false,
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		written := find(archive, "tollgate.yaml").Data
		var content any
		if len(written) == 0 || yaml.Unmarshal(written, &content) != nil {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		good := strings.HasPrefix(string(find(archive, "result").Data), "source:")
		_, mustSee := seen[name]
		switch err := schema.Validate(content); {
		case name == "number-as-text": // which the schema has quoted
		case good && err != nil:
			t.Errorf("%s is refused: %v", name, err)
		case mustSee && err == nil:
			t.Errorf("%s is not refused", name)
		}
		seen[name] = true
	}
	for name, is := range seen {
		if !is {
			t.Errorf("there is no %s", name)
		}
	}
}
