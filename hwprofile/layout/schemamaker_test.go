package layout_test

import (
	"encoding"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// maker makes a schema of Go types.
type maker struct {
	t    *testing.T
	docs map[string]*docs // by package
	defs map[string]any
}

// of is the schema of a type; structures become definitions of their own.
func (m *maker) of(t reflect.Type) map[string]any {
	m.t.Helper()
	if t.PkgPath() == "xtm/internal/opt" { // Value[T]: absent, or a T
		f, _ := t.FieldByName("v")
		return m.of(f.Type)
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return m.of(t.Elem())
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string", "description": m.about(t).types[t.Name()]}
	}
	switch t.Kind() {
	case reflect.Struct:
		name := strings.ToUpper(filepath.Base(t.PkgPath())[:1]) + filepath.Base(t.PkgPath())[1:] + "." + t.Name()
		if _, done := m.defs[name]; !done {
			m.defs[name] = nil // it may hold itself
			m.defs[name] = m.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": m.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": m.of(t.Elem())}
	case reflect.String:
		s := map[string]any{"type": "string"}
		if words := m.about(t).words[t.Name()]; len(words) > 0 {
			s["enum"] = words
		}
		return s
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		m.t.Fatalf("no schema for a %s", t)
		return nil
	}
}

func (m *maker) object(t reflect.Type) map[string]any {
	m.t.Helper()
	about := m.about(t)
	properties, required := map[string]any{}, []string{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
			continue
		case f.Anonymous && name == "":
			inner := m.object(f.Type)
			maps.Copy(properties, inner["properties"].(map[string]any))
			required = append(required, inner["required"].([]string)...)
			continue
		case name == "":
			m.t.Errorf("%s.%s has no name in JSON", t, f.Name)
		}
		p := m.of(f.Type)
		if text := about.fields[t.Name()+"."+f.Name]; text != "" {
			p["description"] = text
		}
		properties[name] = p
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	text := about.types[t.Name()]
	if text == "" {
		m.t.Errorf("%s has no comment", t)
	}
	return map[string]any{"type": "object", "description": text, "properties": properties, "required": required}
}

// docs are the comments of a package, and the constants of its types.
type docs struct {
	types, fields map[string]string
	words         map[string][]string
}

// about reads the source of a type's package.
func (m *maker) about(t reflect.Type) *docs {
	m.t.Helper()
	if d, ok := m.docs[t.PkgPath()]; ok {
		return d
	}
	d := &docs{map[string]string{}, map[string]string{}, map[string][]string{}}
	m.docs[t.PkgPath()] = d
	module, ok := strings.CutPrefix(t.PkgPath(), "xtm/")
	if !ok {
		return d
	}
	files, err := filepath.Glob("../../" + module + "/*.go")
	if err != nil || len(files) == 0 {
		m.t.Fatalf("no source of %s: %v", t.PkgPath(), err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				d.collect(g)
			}
		}
	}
	return d
}

func (d *docs) collect(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			name := s.Name.Name
			d.types[name] = comment(s.Doc, g.Doc)
			if st, ok := s.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, n := range f.Names {
						d.fields[name+"."+n.Name] = comment(f.Doc, f.Comment)
					}
				}
			}
		case *ast.ValueSpec:
			typ, ok := s.Type.(*ast.Ident)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, v := range s.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					d.words[typ.Name] = append(d.words[typ.Name], constant.StringVal(constant.MakeFromLiteral(lit.Value, lit.Kind, 0)))
				}
			}
		}
	}
}

// comment is the text of the first comment that there is, as one paragraph.
func comment(of ...*ast.CommentGroup) string {
	for _, c := range of {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}
