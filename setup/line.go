package setup

import (
	"bytes"
	"slices"

	"xtm/internal/edit"
)

// fileLine is a line of xtm's in a file of somebody else's.
type fileLine struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// addLine puts a line into a file of somebody else's.
func (p *Plan) addLine(g GuestMachine, l fileLine) {
	p.lines = append(p.lines, l)
	p.files = append(p.files, edit.Change{Path: l.Path, Old: g.Own[l.Path], New: withLine(g.Own[l.Path], l.Text)})
}

// withLine puts a line at the end of a file, and leaves its last line end, or
// the lack of one, as it was.
func withLine(src []byte, line string) []byte {
	if len(src) > 0 && !bytes.HasSuffix(src, []byte("\n")) {
		return slices.Concat(src, []byte("\n"+line))
	}
	return slices.Concat(src, []byte(line+"\n"))
}

// withoutLine takes a line out of a file, as withLine has put it there: the last
// that is the same.
func withoutLine(src []byte, line string) []byte {
	lines := slices.Collect(bytes.Lines(src))
	for i, l := range slices.Backward(lines) {
		text, ended := bytes.CutSuffix(l, []byte("\n"))
		if string(text) != line {
			continue
		}
		before := slices.Concat(lines[:i]...)
		if !ended {
			before = bytes.TrimSuffix(before, []byte("\n"))
		}
		return slices.Concat(before, slices.Concat(lines[i+1:]...))
	}
	return src
}

// lists tells whether a line of a file begins with a word.
func lists(src []byte, word string) bool {
	for l := range bytes.Lines(src) {
		if fields := bytes.Fields(l); len(fields) > 0 && string(fields[0]) == word {
			return true
		}
	}
	return false
}
