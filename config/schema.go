package config

import (
	"slices"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// JSONSchema describes tollgate.yaml to editors. It takes all that [Load] takes, but for texts that look like
// numbers or dates and are not quoted, and more: it knows names, kinds and choices, not what fields say of each
// other.
func JSONSchema() []byte { return slices.Clone(tollgatev1.JSONSchema) }
