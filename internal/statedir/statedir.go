// Package statedir is /var/lib/xtm, where xtm keeps what it has to remember of a
// machine: what it has changed, so that it can be undone.
package statedir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"
)

// Path is the folder.
const Path = "/var/lib/xtm"

// Make makes Path, or a folder below it. Nobody but root looks into it.
func Make(root hostfs.Root, dir string) error {
	if err := atomicfile.MkdirAll(root, path.Dir(Path), 0o755); err != nil {
		return err
	}
	return atomicfile.MkdirAll(root, dir, 0o700)
}

// Keep writes a record as JSON, and the folder that it lies in. It lasts when
// Keep returns, and a crash leaves the one before or this one.
func Keep(root hostfs.Root, file string, record any) error {
	b, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := Make(root, path.Dir(file)); err != nil {
		return err
	}
	return atomicfile.Replace(root, file, append(b, '\n'), 0o600)
}

// Forget removes a record; that there is none is no error.
func Forget(root hostfs.Root, file string) error {
	err := atomicfile.Remove(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Parse reads a record that Keep wrote, of one schema. One that is not understood
// to the last key is an error: what was changed would be unknown.
//
//	{"schema": 1, "before": {"selfballoon/selfballoon_interval": 5}}
func Parse(b []byte, schema int, record any) error {
	var form struct {
		Schema int `json:"schema"`
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&form); err != nil {
		return err
	}
	if form.Schema != schema {
		return fmt.Errorf("schema %d, and this xtm knows %d", form.Schema, schema)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(record)
}
