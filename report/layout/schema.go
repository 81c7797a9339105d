package layout

import (
	_ "embed"
	"slices"
)

//go:embed report.schema.json
var schema []byte

// SchemaJSON is the JSON Schema (2020-12) of a Report.
func SchemaJSON() []byte { return slices.Clone(schema) }
