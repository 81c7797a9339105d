package grub

import (
	"bytes"
	"errors"
	"sort"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxSource bounds a shell file. Debian's own are below 10 KiB.
const maxSource = 256 << 10

// document is one shell file that grub-mkconfig sources.
type document struct {
	path string
	src  []byte
	// was is what the file held when it was loaded; nil where it did not exist.
	was  []byte
	file *syntax.File
}

// parse reads the file as sh would. What sh and the parser do not agree on is
// refused, because an edit would rest on a guess.
func (d *document) parse() error {
	if len(d.src) > maxSource {
		return &RefusedError{Where{d.path, 1}, "the file is larger than 256 KiB", "this is no settings file"}
	}
	if i := bytes.IndexByte(d.src, 0); i >= 0 {
		return &RefusedError{d.at(i), "a NUL byte", "shells do not agree what that means; remove it"}
	}
	if i := carriageReturn(d.src); i >= 0 {
		return &RefusedError{
			d.at(i), "a carriage return, which sh takes as part of the value or of the command",
			"give the file Unix line ends: sed -i 's/\\r$//' " + d.path,
		}
	}
	masked := bytes.Clone(d.src)
	for i, b := range masked {
		// The parser wants UTF-8, sh does not care. '%' is as plain as any letter
		// of another script, and cannot be in a name.
		if b >= 0x80 {
			masked[i] = '%'
		}
	}
	// The parser takes a backslash at the end of a comment for a continued line,
	// sh does not (seen with mvdan.cc/sh/v3 v3.14.1).
	for range 100 {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true)).
			Parse(bytes.NewReader(masked), d.path)
		if err != nil {
			return d.syntaxError(err)
		}
		if at := unnamedFunction(file); at != nil {
			return &RefusedError{Where{d.path, int(at.Pos().Line())}, "a function without a name", d.checkAdvice()}
		}
		i := continuedComment(file, masked)
		if i < 0 {
			d.file = file
			return nil
		}
		masked[i] = '%'
	}
	return &RefusedError{Where{d.path, 1}, "more than a hundred comments that end with a backslash", "remove the backslashes"}
}

func (d *document) checkAdvice() string {
	return "sh cannot read this file as it stands: check it with sh -n " + d.path
}

func (d *document) syntaxError(err error) error {
	r := &RefusedError{Where{d.path, 1}, err.Error(), d.checkAdvice()}
	if pe, ok := errors.AsType[syntax.ParseError](err); ok {
		r.Where.Line = int(pe.Pos.Line())
		r.Seen = pe.Text
	}
	if le, ok := errors.AsType[syntax.LangError](err); ok {
		r.Where.Line = int(le.Pos.Line())
		r.Seen = le.Feature
		r.Advice = "grub-mkconfig runs sh, which need not be bash"
	}
	return r
}

// carriageReturn finds the first one that means something: in a comment of its
// own line it does not.
func carriageReturn(src []byte) int {
	at := 0
	for line := range bytes.Lines(src) {
		i := bytes.IndexByte(line, '\r')
		if i >= 0 && !bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
			return at + i
		}
		at += len(line)
	}
	return -1
}

// unnamedFunction returns the first declaration such as "() :", which the parser
// lets pass and sh does not (seen with mvdan.cc/sh/v3 v3.14.1).
func unnamedFunction(file *syntax.File) *syntax.FuncDecl {
	var found *syntax.FuncDecl
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok && f.Name == nil && found == nil {
			found = f
		}
		return found == nil
	})
	return found
}

// continuedComment returns the place of the backslash that ends the first such
// comment, or -1.
func continuedComment(file *syntax.File, src []byte) int {
	found := -1
	syntax.Walk(file, func(n syntax.Node) bool {
		c, ok := n.(*syntax.Comment)
		if !ok || !strings.HasSuffix(c.Text, "\\\n") {
			return true
		}
		hash := int(c.Hash.Offset())
		if eol := bytes.IndexByte(src[hash:], '\n'); eol > 0 && src[hash+eol-1] == '\\' && (found < 0 || hash+eol-1 < found) {
			found = hash + eol - 1
		}
		return true
	})
	return found
}

// at is the line of a byte.
func (d *document) at(offset int) Where {
	return Where{d.path, 1 + bytes.Count(d.src[:min(offset, len(d.src))], []byte("\n"))}
}

// splice is a replacement of the bytes [from, to).
type splice struct {
	from, to int
	text     string
}

// spliced returns the file with the replacements made, not yet parsed. Where
// two of them remove the same bytes, these go once.
func (d *document) spliced(splices []splice) *document {
	sort.SliceStable(splices, func(i, j int) bool { return splices[i].from < splices[j].from })
	out := make([]byte, 0, len(d.src)+64) // never nil: that would be no file
	at := 0
	for _, s := range splices {
		if s.from > at {
			out = append(out, d.src[at:s.from]...)
		}
		out = append(out, s.text...)
		at = max(at, s.to)
	}
	out = append(out, d.src[at:]...)
	return &document{path: d.path, src: out, was: d.was}
}
