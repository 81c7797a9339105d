package layout_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/render"
	"xtm/internal/schematest"
	"xtm/report"
	"xtm/report/layout"
	"xtm/xen"
)

func TestReportsMatchSchema(t *testing.T) {
	var full report.Report
	fill(t, reflect.ValueOf(&full).Elem())
	full.Schema = report.Schema
	schema := schematest.Strict(t, layout.SchemaJSON())
	for name, r := range map[string]report.Report{
		"full": full, "load": load(), "interval": interval(), "no tmem": noTmem(), "hostile": hostile(),
		"minimal": {
			Schema: report.Schema, Tmem: xen.TmemState{Answer: xen.TmemUnknown}, Domains: []report.Domain{{}},
			Findings: []finding.Finding{}, Thresholds: report.Thresholds{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := render.JSON(&b, r, true); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(schematest.Parse(t, b.Bytes())); err != nil {
				t.Error(err)
			}
		})
	}
	for name, damage := range map[string]func(map[string]any){
		"unknown field":   func(m map[string]any) { m["extra"] = 1 },
		"missing field":   func(m map[string]any) { delete(m, "domains") },
		"text for number": func(m map[string]any) { m["interval_ns"] = "10s" },
		"other schema":    func(m map[string]any) { m["schema"] = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := render.JSON(&b, load(), false); err != nil {
				t.Fatal(err)
			}
			m := schematest.Parse(t, b.Bytes()).(map[string]any)
			damage(m)
			if schema.Validate(m) == nil {
				t.Error("the schema lets it pass")
			}
		})
	}
}

// fill sets every field to something that its type allows.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if set, ok := map[reflect.Type]any{
		reflect.TypeFor[time.Time]():       time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		reflect.TypeFor[finding.Verdict](): finding.Dangerous,
		reflect.TypeFor[xen.TmemAnswer]():  xen.TmemOff,
		reflect.TypeFor[cause.Word]():      cause.Timeout,
		reflect.TypeFor[report.Reset]():    report.ResetReborn,
	}[v.Type()]; ok {
		v.Set(reflect.ValueOf(set))
		return
	}
	if inner, ok := inside(v.Type()); ok {
		x := reflect.New(inner)
		fill(t, x.Elem())
		b, err := json.Marshal(x.Interface())
		if err == nil {
			err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(t, f)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.String:
		v.SetString("some text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint16:
		v.SetUint(7)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		t.Fatalf("cannot fill a %s", v.Type())
	}
}

// inside is the T of an opt.Value[T].
func inside(t reflect.Type) (reflect.Type, bool) {
	if t.PkgPath() != "xtm/internal/opt" {
		return nil, false
	}
	f, ok := t.FieldByName("v")
	return f.Type, ok
}

// TestSchemaNamesEveryField holds the schema and the Go types against each
// other, field by field, in both directions.
func TestSchemaNamesEveryField(t *testing.T) {
	doc := schematest.Parse(t, layout.SchemaJSON()).(map[string]any)
	defs := doc["$defs"].(map[string]any)
	seen := map[string]bool{}
	var compare func(where string, typ reflect.Type, node map[string]any)
	compare = func(where string, typ reflect.Type, node map[string]any) {
		if inner, ok := inside(typ); ok {
			typ = inner
		} else if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if name, ok := node["$ref"].(string); ok {
			name = strings.TrimPrefix(name, "#/$defs/")
			if name != typ.Name() {
				t.Errorf("%s: the schema has %s, the type is %s", where, name, typ.Name())
			}
			if seen[name] {
				return
			}
			seen[name] = true
			node = defs[name].(map[string]any)
			where = name
		}
		want := map[reflect.Kind]string{
			reflect.Struct: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean",
			reflect.Float64: "number", reflect.Int: "integer", reflect.Int64: "integer", reflect.Uint16: "integer",
		}[typ.Kind()]
		if typ == reflect.TypeFor[time.Time]() {
			want = "string"
		}
		if node["type"] != want {
			t.Errorf("%s: the schema says %v, the type %s is a %s", where, node["type"], typ, want)
		}
		switch want {
		case "array":
			compare(where+"[]", typ.Elem(), node["items"].(map[string]any))
			return
		case "object":
		default:
			return
		}
		props := node["properties"].(map[string]any)
		left := maps.Clone(props)
		var required []string
		for f := range typ.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			at := where + "." + name
			p, ok := props[name].(map[string]any)
			if !ok {
				t.Errorf("%s (%s.%s) is missing from the schema", at, typ, f.Name)
				continue
			}
			delete(left, name)
			if !strings.Contains(options, "omit") {
				required = append(required, name)
			}
			text, _ := p["description"].(string)
			if p["title"] == nil || !strings.HasSuffix(text, ".") {
				t.Errorf("%s: no title, or no sentence as description", at)
			}
			for suffix, unit := range map[string]string{"_kib": "KiB", "_pages": "pages", "_ns": "nanoseconds"} {
				if strings.HasSuffix(name, suffix) && !strings.Contains(text, unit) {
					t.Errorf("%s: the description does not speak of %s", at, unit)
				}
			}
			compare(at, f.Type, p)
		}
		for name := range left {
			t.Errorf("%s.%s: the schema has it, %s has not", where, name, typ)
		}
		got := []string{}
		for _, r := range node["required"].([]any) {
			got = append(got, r.(string))
		}
		slices.Sort(got)
		slices.Sort(required)
		if !slices.Equal(got, required) {
			t.Errorf("%s: the schema requires %q, the type always writes %q", where, got, required)
		}
	}
	compare("report", reflect.TypeFor[report.Report](), doc)
	for name := range defs {
		if !seen[name] {
			t.Errorf("$defs/%s is not used", name)
		}
	}
	if n := doc["properties"].(map[string]any)["schema"].(map[string]any)["const"].(json.Number).String(); n != "1" || report.Schema != 1 {
		t.Errorf("the schema is of version %s, the report of %d", n, report.Schema)
	}
}

// TestSchemaNamesEveryWord: an enumeration is every constant of its type.
func TestSchemaNamesEveryWord(t *testing.T) {
	defs := schematest.Parse(t, layout.SchemaJSON()).(map[string]any)["$defs"].(map[string]any)
	for where, want := range map[string][]any{
		"TmemState.answer": {xen.TmemOn, xen.TmemOff, xen.TmemCompiledOut, xen.TmemRemoved, xen.TmemUnknown},
		"Finding.verdict": {
			finding.Good, finding.Note, finding.TooFew, finding.CouldNotTell, finding.Warning, finding.Bad, finding.Dangerous,
		},
		"Gap.cause":    {cause.NotSupported, cause.NoData, cause.NeedsRoot, cause.Timeout, cause.Failed},
		"Domain.reset": {report.ResetNew, report.ResetRenumbered, report.ResetReborn, report.ResetCounters},
	} {
		typ, field, _ := strings.Cut(where, ".")
		var words []any
		for _, w := range want {
			words = append(words, reflect.ValueOf(w).String())
		}
		got := defs[typ].(map[string]any)["properties"].(map[string]any)[field].(map[string]any)["enum"]
		if diff := cmp.Diff(any(words), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", where, diff)
		}
	}
}
