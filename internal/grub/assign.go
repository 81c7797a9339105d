package grub

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// KernelDropIn is the file in which Assign puts its line. Its name comes late,
// because Debian's xen.cfg sets GRUB_DEFAULT too.
const KernelDropIn = SettingsFolder + "/zz-xtm-kernel.cfg"

// kernelDropInHead begins a new KernelDropIn.
const kernelDropInHead = "# Written by xtm, which removes this file with: xtm kernel remove\n"

// Assign gives a variable a plain value by a line of its own: in KernelDropIn
// where this distribution reads drop-ins, else at the end of /etc/default/grub,
// so that no line of the user's changes. Where the variable has the value for
// certain the Config is returned as it is. What sh would not come to for certain,
// as where a later file has the last word, is a *RefusedError.
func (c *Config) Assign(name, value string) (*Config, error) {
	if !syntax.ValidName(name) || value == "" || strings.Trim(value, plainBytes) != "" {
		return nil, fmt.Errorf("edit GRUB's settings: %s=%q is no plain assignment", name, value)
	}
	if c.state.ended != nil {
		return nil, c.refusal(name, nil)
	}
	if c.has(name, value) {
		return c, nil
	}
	line := name + "=" + value
	var edited *Config
	var err error
	switch {
	case c.dropIns:
		edited, err = c.appendLine(c.kernelDropIn(), line)
	case c.docs[0].was != nil:
		edited, err = c.appendLine(c.docs[0], line+lineMark)
	default:
		err = fmt.Errorf("there is no file to put %s in", name)
	}
	if err == nil {
		if other, same := othersSame(c.state, edited.state, name); !same {
			err = fmt.Errorf("the edit would change %s too", other)
		}
	}
	if err == nil && !edited.has(name, value) {
		err = errors.New("something after xtm's line has the last word on " + name)
	}
	if err != nil {
		return nil, c.refusal(name, err)
	}
	return edited, nil
}

// Unassign takes away the line that Assign made, and no other. Where it is not
// there the Config is returned as it is.
func (c *Config) Unassign(name, value string) (*Config, error) {
	gone := cuts{}
	if line := []byte(name + "=" + value + lineMark); len(c.docs) > 0 {
		gone.line(c.docs[0], line)
	}
	edited := c
	if len(gone) > 0 {
		var err error
		if edited, err = c.replace(gone); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(edited.docs, func(d *document) bool {
		return d.path == KernelDropIn && bytes.HasPrefix(d.src, []byte(kernelDropInHead))
	})
	if i < 0 {
		return edited, nil
	}
	without := *edited
	without.docs = slices.Delete(slices.Clone(edited.docs), i, i+1)
	without.gone = append(slices.Clone(edited.gone), &document{path: KernelDropIn, was: edited.docs[i].was})
	without.follow()
	return &without, nil
}

// has tells whether a variable has a value for certain.
func (c *Config) has(name, value string) bool {
	v := c.Value(name)
	return v.Dynamic == "" && v.Text == value && len(v.Assigned) > 0
}

// kernelDropIn is the KernelDropIn as it is, or a new one.
func (c *Config) kernelDropIn() *document {
	for _, d := range c.docs {
		if d.path == KernelDropIn {
			return d
		}
	}
	d := &document{path: KernelDropIn, src: []byte(kernelDropInHead)}
	for _, g := range c.gone {
		if g.path == KernelDropIn {
			d.was = g.was
		}
	}
	return d
}

// line cuts whole lines out of a file. The last line takes the line end before
// it along where it has none of its own.
func (c cuts) line(d *document, text []byte) {
	at := 0
	for line := range bytes.Lines(d.src) {
		from, to := at, at+len(line)
		at = to
		if !bytes.Equal(bytes.TrimSuffix(line, []byte("\n")), text) {
			continue
		}
		if !bytes.HasSuffix(line, []byte("\n")) && from > 0 {
			from--
		}
		c[d] = append(c[d], splice{from, to, ""})
	}
}
