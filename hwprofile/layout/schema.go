package layout

import (
	_ "embed"
	"slices"
)

// Both are made of the Go types and their comments by the test of this package.
var (
	//go:embed detect.schema.json
	profileSchema []byte
	//go:embed passthrough.schema.json
	answerSchema []byte
)

// SchemaJSON is the JSON Schema (2020-12) of a hwprofile.Profile.
func SchemaJSON() []byte { return slices.Clone(profileSchema) }

// PassthroughSchemaJSON is the JSON Schema (2020-12) of an Answer.
func PassthroughSchemaJSON() []byte { return slices.Clone(answerSchema) }
