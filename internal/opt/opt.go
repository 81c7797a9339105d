// Package opt is a value that may be absent. Absent is never zero: a host that
// does not say how many puts were refused is not a host that refused none.
package opt

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// Value is a T or nothing. Its zero value is nothing; with the JSON option
// omitzero an absent field is left out, without it it is null.
type Value[T any] struct {
	v  T
	ok bool
}

// Of returns a present value.
func Of[T any](v T) Value[T] { return Value[T]{v, true} }

// Get returns the value, and whether there is one.
func (o Value[T]) Get() (T, bool) { return o.v, o.ok }

// Or returns the value, or d where there is none.
func (o Value[T]) Or(d T) T {
	if o.ok {
		return o.v
	}
	return d
}

// Has tells whether there is a value.
func (o Value[T]) Has() bool { return o.ok }

// IsZero is true where there is no value; encoding/json's omitzero asks it.
func (o Value[T]) IsZero() bool { return !o.ok }

// MarshalJSON writes the value, or null. Whole numbers, which most values are,
// take no detour through another encoder.
func (o Value[T]) MarshalJSON() ([]byte, error) {
	if !o.ok {
		return []byte("null"), nil
	}
	switch v := reflect.ValueOf(&o.v).Elem(); v.Kind() {
	case reflect.Int, reflect.Int64:
		return strconv.AppendInt(nil, v.Int(), 10), nil
	case reflect.Uint16:
		return strconv.AppendUint(nil, v.Uint(), 10), nil
	default:
		return json.Marshal(o.v)
	}
}

// UnmarshalJSON reads a value; null is absent.
func (o *Value[T]) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*o = Value[T]{}
		return nil
	}
	o.ok = true
	return json.Unmarshal(b, &o.v)
}

// Map applies f to a present value.
func Map[T, U any](o Value[T], f func(T) U) Value[U] {
	if !o.ok {
		return Value[U]{}
	}
	return Of(f(o.v))
}

// Both applies f to two values where both are present.
func Both[A, B, C any](a Value[A], b Value[B], f func(A, B) C) Value[C] {
	if !a.ok || !b.ok {
		return Value[C]{}
	}
	return Of(f(a.v, b.v))
}
