// Package tollgatev1 is the schema of tollgate.yaml: Go types and a JSON Schema, both made from config.proto.
package tollgatev1

import _ "embed"

// JSONSchema describes tollgate.yaml to editors (JSON Schema, draft 2020-12). It is not to be written to.
//
//go:embed tollgate.schema.json
var JSONSchema []byte
