// Package grub reads and edits the settings of GRUB 2, /etc/default/grub and the
// files in /etc/default/grub.d, and reads what grub-mkconfig made of them:
// grub.cfg and grubenv. It changes nothing on disk: an edit is a new Config,
// from which the changed files come as bytes.
//
// The settings are shell files. They are parsed and followed as far as it is
// certain what sh would do; bytes are replaced in them, never printed anew. Each
// edit is checked by following the new files: the variable must have the old
// words and the new one, and every other variable the value it had, or the edit
// is refused with file and line.
package grub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"

	"xtm/internal/edit"
	"xtm/internal/hostfs"
)

// The files that hold GRUB's settings. DropIn is xtm's own, used where a value
// cannot be edited in place.
const (
	SettingsFile   = "/etc/default/grub"
	SettingsFolder = "/etc/default/grub.d"
	DropIn         = SettingsFolder + "/xtm.cfg"
)

// Where is a line of a file.
type Where struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// String is the form that editors and compilers use.
func (w Where) String() string { return fmt.Sprintf("%s:%d", w.File, w.Line) }

// RefusedError means that a file cannot be read or edited with certainty.
type RefusedError struct {
	Where Where
	// Seen is what was found there, Advice what would do instead.
	Seen, Advice string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("read %s: %s (%s)", e.Where, e.Seen, e.Advice)
}

// ConflictError means that a word of the value contradicts the one that is to
// be added: "no-tmem" or "tmem=0" against "tmem".
type ConflictError struct {
	Where Where
	// Name is the variable, Word what stands in it.
	Name, Word, Wanted string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("read %s: %s has %s, which contradicts %s", e.Where, e.Name, e.Word, e.Wanted)
}

// Config is GRUB's settings as grub-mkconfig would read them now, edits
// included. It is never changed: each edit returns another.
type Config struct {
	docs    []*document // in the order in which they are sourced
	gone    []*document // drop-ins of ours that an edit emptied
	dropIns bool
	state   *state
}

// Load reads the settings. Files in /etc/default/grub.d count only where this
// distribution's grub-mkconfig sources them; Debian's and Ubuntu's does, in the
// order of the C locale. A file that sh would not read as it stands, or that has
// a NUL byte or a carriage return outside of comments, is a *RefusedError.
func Load(files hostfs.Files) (*Config, error) {
	c := &Config{}
	d, err := readDocument(files, SettingsFile)
	if err != nil {
		return nil, err
	}
	c.docs = append(c.docs, d)
	_, script, err := findProgram(files, "grub-mkconfig", "grub2-mkconfig")
	if err != nil {
		return nil, err
	}
	if c.dropIns = bytes.Contains(script, []byte("default/grub.d")); c.dropIns {
		names, err := files.ReadDir(SettingsFolder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		sort.Strings(names)
		for _, name := range names {
			if !strings.HasSuffix(name, ".cfg") || strings.HasPrefix(name, ".") {
				continue
			}
			d, err := readDocument(files, path.Join(SettingsFolder, name))
			if err != nil {
				return nil, err
			}
			c.docs = append(c.docs, d)
		}
	}
	for _, d := range c.docs {
		if err := d.parse(); err != nil {
			return nil, err
		}
	}
	c.follow()
	return c, nil
}

// readDocument takes a file that does not exist as an empty one, and so does
// grub-mkconfig: it tests before it sources.
func readDocument(files hostfs.Files, name string) (*document, error) {
	b, err := files.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &document{path: name}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read GRUB's settings: %w", err)
	}
	if b == nil {
		b = []byte{}
	}
	return &document{path: name, src: b, was: b}, nil
}

// follow works out what the files do.
func (c *Config) follow() {
	c.state = newState()
	for _, d := range c.docs {
		if c.state.ended == nil {
			c.state.source(d)
		}
	}
}

// Value is what grub-mkconfig will see of a variable after all files.
type Value struct {
	Name string
	// Text is the value; where Dynamic is set, what can be known of it, with "…"
	// for the rest.
	Text string
	// Words are the words of a command line in it that are certain. They are
	// absent where GRUB would not take the value as a part of a command line.
	Words []Word
	// Assigned are the lines that assign it, the deciding one last; empty where
	// no file does.
	Assigned []Where
	// Dynamic says why the value is known only to sh, with file and line; empty
	// where it is certain.
	Dynamic string
}

// Word is one word of a command line in a variable, and its line.
type Word struct {
	Text  string
	Where Where
}

// Value works out a variable's value.
func (c *Config) Value(name string) Value {
	out := Value{Name: name, Dynamic: c.undecided()}
	v, ok := c.state.vars[name]
	if !ok {
		return out
	}
	for _, a := range v.assigns {
		out.Assigned = append(out.Assigned, a.where())
	}
	var text strings.Builder
	for _, ch := range v.value {
		if ch.unknown == nil {
			text.WriteByte(ch.b)
			continue
		}
		text.WriteString("…")
		if out.Dynamic == "" {
			out.Dynamic = ch.unknown.where.String() + ": " + ch.unknown.reason
		}
	}
	out.Text = text.String()
	ws, bad := words(v.value)
	if bad != nil {
		return out
	}
	for _, w := range ws {
		if w.sure {
			first := v.value[w.from]
			out.Words = append(out.Words, Word{w.text, first.doc.at(first.from)})
		}
	}
	return out
}

// Switch is what the certain words say of a boolean parameter of Xen's. Where
// the value is dynamic, the rest may say otherwise.
func (v Value) Switch(name string) Switch {
	texts := make([]string, 0, len(v.Words))
	for _, w := range v.Words {
		texts = append(texts, w.Text)
	}
	return XenSwitch(texts, name)
}

// undecided is why nothing at all is certain.
func (c *Config) undecided() string {
	for _, u := range []*unknown{c.state.ended, c.state.tainted} {
		if u != nil {
			return u.where.String() + ": " + u.reason
		}
	}
	return ""
}

// Changes are the files that differ from what was loaded, in the order in which
// they are sourced; none where the edits had nothing to do.
func (c *Config) Changes() []edit.Change {
	var out []edit.Change
	for _, d := range c.docs {
		if string(d.src) != string(d.was) || d.was == nil && d.src != nil {
			out = append(out, edit.Change{Path: d.path, Old: d.was, New: d.src})
		}
	}
	for _, d := range c.gone {
		if d.was != nil {
			out = append(out, edit.Change{Path: d.path, Old: d.was})
		}
	}
	return out
}

// Diff is the changes in the unified format; empty where there is none.
func (c *Config) Diff() string { return edit.Diff(c.Changes()) }
