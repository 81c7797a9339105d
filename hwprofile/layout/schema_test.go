package layout_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/layout"
	"xtm/hwprofile/pci"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/schematest"
	"xtm/xen/xl"
)

const intro = " An absent field is not known or cannot exist; it is never 0. New fields may come without a new schema number."

// TestSchemas: the published schemas are what the types and their comments say;
// XTM_UPDATE writes them.
func TestSchemas(t *testing.T) {
	for file, c := range map[string]struct {
		of              reflect.Type
		id, title, text string
		have            []byte
		words, always   []string // what must be named, and what is always there
	}{
		"detect.schema.json": {
			reflect.TypeFor[hwprofile.Profile](), "urn:xtm:detect:1", "xtm detect", "What `xtm detect --format json` writes: what a machine is." + intro,
			layout.SchemaJSON(),
			[]string{"could_not_tell", "ready_with_conditions"},
			[]string{"cpu", "devices"},
		},
		"passthrough.schema.json": {
			reflect.TypeFor[layout.Answer](), "urn:xtm:detect-passthrough:1", "xtm detect passthrough",
			"What `xtm detect passthrough --format json` writes: which devices can go to a guest, and how." + intro,
			layout.PassthroughSchemaJSON(),
			[]string{"boot-disk", "rmrr-shared"},
			[]string{"devices"},
		},
	} {
		t.Run(file, func(t *testing.T) {
			m := maker{t: t, docs: map[string]*docs{}, defs: map[string]any{}}
			schema := m.object(c.of)
			schema["$schema"], schema["$id"], schema["title"], schema["description"] = "https://json-schema.org/draft/2020-12/schema", c.id, c.title, c.text
			schema["properties"].(map[string]any)["schema"].(map[string]any)["const"] = hwprofile.Schema
			schema["$defs"] = m.defs
			var want bytes.Buffer
			if err := render.JSON(&want, schema, true); err != nil {
				t.Fatal(err)
			}
			if os.Getenv("XTM_UPDATE") != "" {
				if err := os.WriteFile(file, want.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want.String(), string(c.have)); diff != "" {
				t.Errorf("make it anew with XTM_UPDATE=1 (-types +%s):\n%s", file, diff)
			}
			for _, w := range c.words {
				if !strings.Contains(want.String(), `"`+w+`"`) {
					t.Errorf("the schema does not name %q", w)
				}
			}
			required, _ := json.Marshal(schema["required"])
			for _, w := range c.always {
				if !strings.Contains(string(required), `"`+w+`"`) {
					t.Errorf("%s is not required: %s", w, required)
				}
			}
		})
	}
}

// TestOutputsMatchSchemas: what is written is what is promised, and no more: a
// published schema lets new fields pass, this test does not.
func TestOutputsMatchSchemas(t *testing.T) {
	m := hwtest.X10SAE()
	files := hostfs.Root(m.Write(t))
	p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: files, Run: m.XL.Run, Hypervisor: xl.New(m.XL.Run, files)})
	if err != nil {
		t.Fatal(err)
	}
	guest := hwprofile.Guest{Name: "web1", Kind: hwprofile.HVM, Memory: 1, Maxmem: 2}.Check()
	a := layout.Answer{Schema: hwprofile.Schema, IOMMU: p.IOMMU, Groups: p.Groups, By: p.GroupsBy, Devices: p.Passthrough, Guest: &guest, Refused: []string{"why"}}
	c, err := p.Commands([]pci.Address{{Bus: 1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Commands, a.Compared = &c, p.Compare(p.Identities(nil))
	empty, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: hostfs.Root(t.TempDir()), Run: hwprofile.NoPrograms})
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		schema []byte
		value  any
	}{
		"X10SAE": {layout.SchemaJSON(), p}, "nothing": {layout.SchemaJSON(), empty},
		"answer": {layout.PassthroughSchemaJSON(), a},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := render.JSON(&b, one.value, true); err != nil {
				t.Fatal(err)
			}
			schema := schematest.Strict(t, one.schema)
			if err := schema.Validate(schematest.Parse(t, b.Bytes())); err != nil {
				t.Error(err)
			}
			damaged := schematest.Parse(t, b.Bytes()).(map[string]any)
			damaged["extra"] = 1
			if schema.Validate(damaged) == nil {
				t.Error("a field that nobody promised passes")
			}
			delete(damaged, "extra")
			damaged["schema"] = 2
			if schema.Validate(damaged) == nil {
				t.Error("another schema passes")
			}
		})
	}
}
