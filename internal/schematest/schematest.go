// Package schematest holds JSON against a schema more strictly than a reader may:
// a published schema lets new fields pass, a test must not.
package schematest

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Parse reads JSON as a schema validates it: its numbers are json.Number.
func Parse(tb testing.TB, text []byte) any {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// Strict compiles a schema with every object closed and every format checked.
func Strict(tb testing.TB, schema []byte) *jsonschema.Schema {
	tb.Helper()
	doc := Parse(tb, schema)
	shut(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// shut closes every object of a schema.
func shut(v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if _, ok := m["properties"]; ok {
		m["additionalProperties"] = false
	}
	for _, x := range m {
		shut(x)
	}
}
