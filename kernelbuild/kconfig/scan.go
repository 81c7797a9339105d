package kconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"xtm/internal/hostfs"
)

// Bounds of one scan. Linux 7.2 has 1,701 files and 18,747 symbols in 5 MB.
const (
	maxFiles   = 20_000
	maxFile    = 4 << 20
	maxBytes   = 64 << 20
	maxSymbols = 200_000
	maxInclude = 64
	maxLine    = 64 << 10
	maxNotes   = 100
)

// ErrTooBig means that a tree exceeds what any kernel has by far.
var ErrTooBig = errors.New("more than a kernel tree holds")

// Environment are the variables that Kconfig files take from the makefiles:
// ARCH and SRCARCH decide which files are read.
type Environment map[string]string

// X86 is the environment of a 64-bit x86 build.
func X86() Environment {
	return Environment{"ARCH": "x86", "SRCARCH": "x86", "HEADER_ARCH": "x86", "srctree": "."}
}

// Scan reads the Kconfig files of the tree at the root of files, from /Kconfig
// on. Lines that it does not know are noted and passed over, so that it reads
// kernels that are yet to come. An error wraps fs.ErrNotExist where there is no
// /Kconfig, and ErrTooBig where a bound is exceeded.
func Scan(files hostfs.Files, env Environment) (*Tree, error) {
	s := &scanner{files: files, vars: map[string]string{}, tree: &Tree{Symbols: map[string]*Symbol{}, modules: "MODULES"}}
	maps.Copy(s.vars, env)
	if err := s.file("Kconfig", &context{}); err != nil {
		return nil, fmt.Errorf("scan Kconfig: %w", err)
	}
	s.settleChoices()
	s.link()
	return s.tree, nil
}

// scanner is one run over a tree.
type scanner struct {
	files hostfs.Files
	vars  map[string]string
	tree  *Tree
	open  []string // files being read, to see a cycle
	defs  []definition
}

// definition remembers whose entry it is until all links can be made.
type definition struct {
	symbol *Symbol
	*Definition
}

// context is what surrounds an entry.
type context struct {
	kind    string // "menu", "if", "choice"; "" outside
	depends *Expr
	visible *Expr
	choice  *Choice
}

// file reads one file in the given context.
func (s *scanner) file(name string, in *context) error {
	if slices.Contains(s.open, name) || len(s.open) >= maxInclude {
		s.odd(Pos{s.open[len(s.open)-1], 0}, "source of "+name+" goes round in circles")
		return nil
	}
	if s.tree.Files++; s.tree.Files > maxFiles {
		return fmt.Errorf("%w: over %d files", ErrTooBig, maxFiles)
	}
	b, err := s.files.ReadFile("/" + name)
	if err != nil {
		return err
	}
	if s.tree.Bytes += len(b); len(b) > maxFile || s.tree.Bytes > maxBytes {
		return fmt.Errorf("%w: at %s, after %d bytes", ErrTooBig, name, s.tree.Bytes)
	}
	s.open = append(s.open, name)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	p := parser{scanner: s, name: name, stack: []*context{in}}
	return p.parse(string(b))
}

// include follows a "source" line. Kinds: source, and of kconfiglib rsource
// (relative to this file), osource and orsource (may be absent).
func (p *parser) include(kind, target string) error {
	if strings.HasPrefix(kind, "r") || strings.HasPrefix(kind, "or") {
		target = path.Join(path.Dir(p.name), target)
	}
	target = strings.TrimPrefix(path.Clean("/"+target), "/")
	if macro(target) {
		p.odd(p.pos, "source "+target)
		return nil
	}
	names := []string{target}
	if strings.ContainsAny(target, "*?[") {
		names = p.glob(target)
	}
	for _, name := range names {
		err := p.file(name, p.top())
		if errors.Is(err, ErrTooBig) {
			return err
		}
		absent := strings.HasPrefix(kind, "o") && errors.Is(err, fs.ErrNotExist)
		if err != nil && !absent && len(p.tree.Missing) < maxNotes {
			p.tree.Missing = append(p.tree.Missing, Line{p.pos, name})
		}
	}
	return nil
}

// glob finds the files of a pattern, in order; what cannot be listed has none.
func (s *scanner) glob(pattern string) []string {
	found := []string{""}
	for part := range strings.SplitSeq(pattern, "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(part, "*?[") {
				next = append(next, path.Join(dir, part))
				continue
			}
			names, err := s.files.ReadDir("/" + dir)
			if err != nil {
				continue
			}
			for _, n := range names {
				if ok, err := path.Match(part, n); ok && err == nil && len(next) < maxFiles {
					next = append(next, path.Join(dir, n))
				}
			}
		}
		found = next
	}
	return found
}

// odd notes a line that was not understood.
func (s *scanner) odd(pos Pos, text string) {
	if s.tree.OddCount++; len(s.tree.Odd) < maxNotes {
		s.tree.Odd = append(s.tree.Odd, Line{pos, text[:min(len(text), 120)]})
	}
}

// symbol finds or makes a symbol.
func (s *scanner) symbol(name string) (*Symbol, error) {
	sym := s.tree.Symbols[name]
	if sym == nil {
		if len(s.tree.Symbols) >= maxSymbols {
			return nil, fmt.Errorf("%w: over %d symbols", ErrTooBig, maxSymbols)
		}
		sym = &Symbol{Name: name}
		s.tree.Symbols[name] = sym
	}
	return sym, nil
}

// settleChoices finds the members of the choices. An entry that depends on an
// earlier member belongs to that member, not to the choice: so Linux sees the
// options of the USB gadgets.
func (s *scanner) settleChoices() {
	for _, d := range s.defs {
		if d.Choice == nil {
			continue
		}
		if slices.ContainsFunc(d.Choice.Members, func(m *Symbol) bool { return d.Depends.requires(m.Name) }) {
			d.Choice = nil
		} else if !slices.Contains(d.Choice.Members, d.symbol) {
			d.Choice.Members = append(d.Choice.Members, d.symbol)
		}
	}
}

// link hands every select and imply to the symbol that it raises, now that the
// dependencies of the entry that says so are complete.
func (s *scanner) link() {
	for _, d := range s.defs {
		for _, l := range d.links {
			target := s.tree.Symbols[l.target]
			if target == nil {
				continue // of another architecture
			}
			link := Link{From: d.symbol, If: and(d.Depends, l.cond), Pos: l.pos}
			if l.imply {
				target.ImpliedBy = append(target.ImpliedBy, link)
			} else {
				target.SelectedBy = append(target.SelectedBy, link)
			}
		}
	}
}
