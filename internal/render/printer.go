package render

import (
	"bufio"
	"io"
)

// Printer writes text and remembers the first error, so that a broken pipe is
// asked for once, at the end, and not after each line.
type Printer struct {
	w *bufio.Writer // which keeps its first error and drops what follows
}

// NewPrinter returns a Printer on w. Nothing is sure to be written before
// Flush.
func NewPrinter(w io.Writer) *Printer { return &Printer{bufio.NewWriterSize(w, 32<<10)} }

// Print writes the strings one after the other.
func (p *Printer) Print(s ...string) {
	for _, s := range s {
		_, _ = p.w.WriteString(s) // Flush returns the error
	}
}

// Write implements io.Writer.
func (p *Printer) Write(b []byte) (int, error) { return p.w.Write(b) }

// Flush writes what is left and returns the first error of all.
func (p *Printer) Flush() error { return p.w.Flush() }
