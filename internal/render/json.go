package render

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes a value and a line break; without indentation it is one line.
// The bytes are those of encoding/json, but that "<", ">" and "&" stand as they
// are and that characters which a terminal would act upon are written as \u
// escapes: programs read them back as they were.
//
// A report of 1,000 domains is a hundred thousand optional values. encoding/json
// asks each for its bytes and scans these once more for every level above, which
// takes five times as long as walking the values.
func JSON(w io.Writer, v any, indent bool) error {
	e := encoder{indent: indent, plans: map[reflect.Type]*plan{}}
	if v == nil {
		e.b = append(e.b, "null"...)
	} else {
		root := reflect.New(reflect.TypeOf(v)).Elem() // addressable, as Ptr needs it
		root.Set(reflect.ValueOf(v))
		if err := e.value(root, e.plan(root.Type())); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
	}
	_, err := w.Write(append(e.b, '\n'))
	return err
}

// encoder appends values to b.
type encoder struct {
	b      []byte
	indent bool
	depth  int
	plans  map[reflect.Type]*plan
}

// plan is how a type is written.
type plan struct {
	optional bool // a *T behind Ptr, or null
	foreign  bool // encoding/json knows better
	fields   []field
	elem     *plan // of an optional value or a list, once it was met
}

type field struct {
	index     int
	head      string // `"name":`
	omitEmpty bool
	omitZero  bool
	isZero    bool // the type says itself what zero is
	plan      *plan
}

// plan makes the plan of a type, once.
func (e *encoder) plan(t reflect.Type) *plan {
	if p := e.plans[t]; p != nil {
		return p
	}
	p := &plan{}
	e.plans[t] = p // before its fields: a type may hold itself
	ptr := reflect.PointerTo(t)
	if p.optional = ptr.Implements(reflect.TypeFor[interface{ Ptr() any }]()); p.optional {
		return p
	}
	p.foreign = ptr.Implements(reflect.TypeFor[json.Marshaler]()) || ptr.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float64, reflect.Array,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	case reflect.Slice:
		p.foreign = p.foreign || t.Elem().Kind() == reflect.Uint8 // base64
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || strings.Contains(options, "string") {
				p.foreign = true
			}
			if !f.IsExported() || name == "-" && options == "" {
				continue
			}
			if name == "" {
				name = f.Name
			}
			p.fields = append(p.fields, field{
				index: i, head: strconv.Quote(name) + ":",
				omitEmpty: strings.Contains(options, "omitempty"), omitZero: strings.Contains(options, "omitzero"),
				isZero: reflect.PointerTo(f.Type).Implements(reflect.TypeFor[interface{ IsZero() bool }]()),
				plan:   e.plan(f.Type),
			})
		}
	default:
		p.foreign = true
	}
	return p
}

func (e *encoder) value(v reflect.Value, p *plan) error {
	switch {
	case p.optional:
		inner := v.Addr().Interface().(interface{ Ptr() any }).Ptr() // plan saw the method
		if inner == nil {
			e.b = append(e.b, "null"...)
			return nil
		}
		v = reflect.ValueOf(inner).Elem()
		return e.value(v, e.elem(p, v.Type()))
	case p.foreign:
		return e.foreign(v)
	}
	switch v.Kind() {
	case reflect.Bool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case reflect.String:
		return e.text(v.String())
	case reflect.Float64:
		f := v.Float()
		if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21 || math.IsNaN(a)) {
			return e.foreign(v) // an exponent, or an error
		}
		e.b = strconv.AppendFloat(e.b, f, 'f', -1, 64)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			e.b = append(e.b, "null"...)
			return nil
		}
		return e.list(v, e.elem(p, v.Type().Elem()))
	case reflect.Struct:
		return e.object(v, p.fields)
	default:
		if v.CanInt() {
			e.b = strconv.AppendInt(e.b, v.Int(), 10)
		} else {
			e.b = strconv.AppendUint(e.b, v.Uint(), 10)
		}
	}
	return nil
}

func (e *encoder) elem(p *plan, t reflect.Type) *plan {
	if p.elem == nil {
		p.elem = e.plan(t)
	}
	return p.elem
}

func (e *encoder) list(v reflect.Value, p *plan) error {
	e.open('[')
	for i := range v.Len() {
		e.next(i == 0)
		if err := e.value(v.Index(i), p); err != nil {
			return err
		}
	}
	e.shut(']', v.Len() == 0)
	return nil
}

func (e *encoder) object(v reflect.Value, fields []field) error {
	e.open('{')
	none := true
	for i := range fields {
		f := &fields[i]
		x := v.Field(f.index)
		if f.omitEmpty && empty(x) || f.omitZero && f.zero(x) {
			continue
		}
		e.next(none)
		none = false
		e.b = append(e.b, f.head...)
		if e.indent {
			e.b = append(e.b, ' ')
		}
		if err := e.value(x, f.plan); err != nil {
			return err
		}
	}
	e.shut('}', none)
	return nil
}

func (f *field) zero(v reflect.Value) bool {
	if f.isZero {
		return v.Addr().Interface().(interface{ IsZero() bool }).IsZero() // plan saw the method
	}
	return v.IsZero()
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func (e *encoder) open(b byte) {
	e.b = append(e.b, b)
	e.depth++
}

// next begins an element.
func (e *encoder) next(first bool) {
	if cap(e.b)-len(e.b) < 512 {
		e.b = slices.Grow(e.b, len(e.b)+4096) // append alone would grow by a quarter each time
	}
	if !first {
		e.b = append(e.b, ',')
	}
	e.line()
}

func (e *encoder) shut(b byte, none bool) {
	e.depth--
	if !none {
		e.line()
	}
	e.b = append(e.b, b)
}

func (e *encoder) line() {
	if e.indent {
		e.b = appendBlanks(append(e.b, '\n'), 2*e.depth)
	}
}

// text writes a string; most have nothing to escape.
func (e *encoder) text(s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return e.foreign(reflect.ValueOf(s))
		}
	}
	e.b = append(append(append(e.b, '"'), s...), '"')
	return nil
}

// foreign leaves a value to encoding/json.
func (e *encoder) foreign(v reflect.Value) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if e.indent {
		enc.SetIndent(strings.Repeat("  ", e.depth), "  ")
	}
	if err := enc.Encode(v.Interface()); err != nil {
		return err
	}
	e.b = appendSeen(e.b, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return nil
}

// appendSeen appends JSON with its hidden characters as \u escapes. They occur
// inside strings only, and what is below U+0020 is escaped already.
func appendSeen(to, b []byte) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r < ' ' || !hidden(r): // the line breaks of an indented value
			to = append(to, b[:n]...)
		case r < 0x10000:
			to = fmt.Appendf(to, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			to = fmt.Appendf(to, `\u%04x\u%04x`, hi, lo)
		}
		b = b[n:]
	}
	return to
}
