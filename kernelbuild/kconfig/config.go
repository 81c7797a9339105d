package kconfig

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxConfig bounds a .config; Debian's of 6.1 has 260 kB.
const maxConfig = 8 << 20

// Config is a .config or a fragment of one, as a document: lines that nobody
// changes keep every byte.
type Config struct {
	lines []string // with their line ends
	at    map[string]int
	twice map[string]bool // symbols with several lines
}

// Change is a symbol that two configurations disagree about. A value is as it
// is written, "n" for "is not set", and "" where the symbol is absent.
type Change struct {
	Symbol string `json:"symbol"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// ReadConfig reads a .config, plain or compressed by gzip as /proc/config.gz is.
// A line that is neither a setting, a comment nor blank is an error that names
// it.
func ReadConfig(b []byte) (*Config, error) {
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("read .config: %w", err)
		}
		if b, err = io.ReadAll(io.LimitReader(z, maxConfig+1)); err != nil {
			return nil, fmt.Errorf("read .config: %w", err)
		}
	}
	if len(b) > maxConfig {
		return nil, fmt.Errorf("read .config: %w: over %d bytes", ErrTooBig, maxConfig)
	}
	c := &Config{at: map[string]int{}, twice: map[string]bool{}}
	for line := range strings.Lines(string(b)) {
		name, _, err := setting(line)
		if err != nil {
			return nil, fmt.Errorf("read .config: line %d: %w", len(c.lines)+1, err)
		}
		if name != "" {
			if _, again := c.at[name]; again {
				c.twice[name] = true
			}
			c.at[name] = len(c.lines) // as for the kernel, the last one counts
		}
		c.lines = append(c.lines, line)
	}
	return c, nil
}

// errSetting means that a line is nothing that a .config holds.
var errSetting = errors.New("not a setting")

// setting reads one line; the name is empty for comments and blank lines.
//
// Of Debian's 4.19.0-6-amd64:
//
//	CONFIG_FRONTSWAP=y
//	# CONFIG_CLEANCACHE is not set
//	CONFIG_XEN_BALLOON=y
//	CONFIG_BUILD_SALT="4.19.0-6-amd64"
func setting(line string) (name, value string, err error) {
	line = strings.TrimRight(line, " \t\r\n")
	if rest, ok := strings.CutPrefix(line, "# CONFIG_"); ok {
		if name, ok := strings.CutSuffix(rest, " is not set"); ok && symbolName(name) {
			return name, "n", nil
		}
		return "", "", nil
	}
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	rest, ok := strings.CutPrefix(line, "CONFIG_")
	name, value, eq := strings.Cut(rest, "=")
	if !ok || !eq || !symbolName(name) {
		return "", "", fmt.Errorf("%w: %q", errSetting, line[:min(len(line), 80)])
	}
	return name, value, check(value)
}

// check tells whether the kernel would read a value: y, m, n, a number, or a
// string in quotes.
func check(value string) error {
	switch {
	case value != "" && value[0] == '"':
		if _, ok := unquote(value); !ok {
			return fmt.Errorf("%w: the string %s does not end", errSetting, value[:min(len(value), 80)])
		}
	case value == "" || strings.ContainsAny(value, " \t\r\n\""):
		return fmt.Errorf("%w: the value %q", errSetting, value[:min(len(value), 80)])
	}
	return nil
}

// Bytes is the document.
func (c *Config) Bytes() []byte { return []byte(strings.Join(c.lines, "")) }

// Get returns a value as it is written, "n" for "is not set"; false where the
// symbol is absent.
func (c *Config) Get(name string) (string, bool) {
	i, ok := c.at[name]
	if !ok {
		return "", false
	}
	_, value, _ := setting(c.lines[i]) // it was read without an error before
	return value, true
}

// Text is the value of a symbol without the quotes of a string; "" where it is
// absent.
func (c *Config) Text(name string) string {
	v, _ := c.Get(name)
	if text, ok := unquote(v); ok {
		return text
	}
	return v
}

// unquote reads a string of a .config, which ends with the value.
func unquote(v string) (string, bool) {
	if !strings.HasPrefix(v, `"`) {
		return "", false
	}
	var b strings.Builder
	for i := 1; i < len(v); i++ {
		switch {
		case v[i] == '"':
			return b.String(), i == len(v)-1
		case v[i] == '\\' && i+1 < len(v):
			i++
		}
		b.WriteByte(v[i])
	}
	return "", false
}

// Line is the number of the line that sets a symbol, 0 where none does.
func (c *Config) Line(name string) int {
	if i, ok := c.at[name]; ok {
		return i + 1
	}
	return 0
}

// Names are the symbols, sorted.
func (c *Config) Names() []string {
	names := make([]string, 0, len(c.at))
	for n := range c.at {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Enabled counts the symbols that are y and that are m.
func (c *Config) Enabled() (yes, modules int) {
	for n := range c.at {
		switch v, _ := c.Get(n); v {
		case "y":
			yes++
		case "m":
			modules++
		}
	}
	return yes, modules
}

// Set gives a symbol a value, written as in a .config; "n" becomes "is not
// set". Earlier lines of the same symbol go, for the kernel warns about them.
// Nothing changes where the value is there already, once.
func (c *Config) Set(name, value string) error {
	if !symbolName(name) {
		return fmt.Errorf("set symbol: %w: the name %q", errSetting, name)
	}
	if err := check(value); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	line := "CONFIG_" + name + "=" + value + "\n"
	if value == "n" {
		line = "# CONFIG_" + name + " is not set\n"
	}
	old, have := c.Get(name)
	c.dropEarlier(name)
	if !have {
		if n := len(c.lines); n > 0 && !strings.HasSuffix(c.lines[n-1], "\n") {
			c.lines[n-1] += "\n"
		}
		c.at[name] = len(c.lines)
		c.lines = append(c.lines, line)
	} else if old != value {
		c.lines[c.at[name]] = line
	}
	return nil
}

// dropEarlier removes the lines of a symbol before the last one.
func (c *Config) dropEarlier(name string) {
	if !c.twice[name] {
		return
	}
	delete(c.twice, name)
	for i := c.at[name] - 1; i >= 0; i-- {
		if n, _, _ := setting(c.lines[i]); n == name {
			c.lines = slices.Delete(c.lines, i, i+1)
			for k, at := range c.at {
				if at > i {
					c.at[k] = at - 1
				}
			}
		}
	}
}

// Clone returns a copy that can be changed by itself.
func (c *Config) Clone() *Config {
	return &Config{lines: slices.Clone(c.lines), at: maps.Clone(c.at), twice: maps.Clone(c.twice)}
}

// Merge applies the settings of a fragment in their order, and returns what
// they changed, in that order.
func (c *Config) Merge(fragment *Config) ([]Change, error) {
	var changes []Change
	for i, line := range fragment.lines {
		name, value, _ := setting(line)
		if name == "" || fragment.at[name] != i {
			continue // a comment, or a line that a later one overrides
		}
		old, _ := c.Get(name)
		if err := c.Set(name, value); err != nil {
			return changes, fmt.Errorf("merge fragment: %w", err)
		}
		if old != value {
			changes = append(changes, Change{name, old, value})
		}
	}
	return changes, nil
}

// Diff lists what differs from a to b, by symbol. Absent and "is not set" are
// the same to a kernel and to this.
func Diff(a, b *Config) []Change {
	var changes []Change
	names := slices.Concat(a.Names(), b.Names())
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		x, _ := a.Get(n)
		y, _ := b.Get(n)
		if x != y && x+y != "n" {
			changes = append(changes, Change{n, x, y})
		}
	}
	return changes
}
