// Package toml reads the TOML files of users.
package toml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Decode reads a text into a struct or a map, strictly: what there is no field
// for is an error. An error says line and column, which the library keeps apart.
func Decode(text []byte, into any) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(into)
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, column := first.Position()
		return fmt.Errorf("line %d, column %d: nothing is called %q here", line, column, strings.Join(first.Key(), "."))
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := e.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}
