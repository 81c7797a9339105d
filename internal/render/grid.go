package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/ll"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// width is the number of columns that text takes on a screen. Characters of
// ambiguous width, such as the dash of an absent value, take one whatever the
// environment says.
func width(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return twwidth.WidthWithOptions(s, twwidth.Options{})
		}
	}
	return len(s)
}

// grid lays rows out below their header with tablewriter. All cells are
// formatted and escaped; a header's cell may have several lines. pad stands on
// both sides of each cell.
func grid(w io.Writer, header []string, rows [][]string, columns []Column, r tw.Renderer, pad string) error {
	aligns := make([]tw.Align, len(columns))
	for i, c := range columns {
		aligns[i] = tw.AlignLeft
		if c.Align == Right {
			aligns[i] = tw.AlignRight
		}
	}
	cells := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{PerColumn: aligns},
		Padding:    tw.CellPadding{Global: tw.Padding{Left: pad, Right: pad, Overwrite: true}},
	}
	t := tablewriter.NewTable(w,
		tablewriter.WithRenderer(r),
		// The library takes the width of ambiguous characters from the
		// environment into a variable of its own. This sets it to a constant.
		tablewriter.WithEastAsian(tw.Off),
		tablewriter.WithConfig(tablewriter.Config{
			Header:   cells,
			Row:      cells,
			Behavior: tw.Behavior{TrimSpace: tw.Off, TrimLine: tw.Off, AutoHide: tw.Off},
		}))
	t.Header(header)
	for _, row := range rows {
		if err := t.Append(row); err != nil {
			return fmt.Errorf("lay out table: %w", err)
		}
	}
	if err := t.Render(); err != nil {
		return fmt.Errorf("lay out table: %w", err)
	}
	return nil
}

// newMarkdownGrid is tablewriter's own renderer of Markdown tables.
func newMarkdownGrid() tw.Renderer { return renderer.NewMarkdown() }

// plainGrid draws a table without lines: a gap between columns, a rule of
// dashes below the header, no blanks at the end of a line. tablewriter's own
// borderless renderer leaves them there, and takes three times as long.
type plainGrid struct {
	w       io.Writer
	columns []Column
	gap     string
	widths  []int
	line    []byte
}

func (g *plainGrid) Start(w io.Writer) error {
	g.w = w
	return nil
}

func (g *plainGrid) Config() tw.Rendition {
	return tw.Rendition{
		Borders:  tw.BorderNone,
		Symbols:  tw.NewSymbols(tw.StyleNone),
		Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.Lines{ShowHeaderLine: tw.On}},
	}
}

func (g *plainGrid) Header(lines [][]string, f tw.Formatting) {
	for _, l := range lines {
		g.draw(l, f)
	}
}

func (g *plainGrid) Row(row []string, f tw.Formatting)        { g.draw(row, f) }
func (g *plainGrid) Footer(lines [][]string, f tw.Formatting) { g.Header(lines, f) }
func (g *plainGrid) Close() error                             { return nil }
func (g *plainGrid) Logger(*ll.Logger)                        {}

// Line is called for the rule below the header only.
func (g *plainGrid) Line(f tw.Formatting) {
	rule := make([]string, len(g.columns))
	for i := range rule {
		rule[i] = strings.Repeat("-", f.Row.Widths.Get(i))
	}
	g.draw(rule, f)
}

func (g *plainGrid) draw(cells []string, f tw.Formatting) {
	if g.widths == nil {
		g.widths = make([]int, len(g.columns))
		for i := range g.widths {
			g.widths[i] = f.Row.Widths.Get(i)
		}
	}
	g.line = g.line[:0]
	for i, c := range cells {
		blanks := g.widths[i] - width(c)
		if g.columns[i].Align == Right {
			g.line = append(appendBlanks(g.line, blanks), c...)
		} else {
			g.line = appendBlanks(append(g.line, c...), blanks)
		}
		g.line = append(g.line, g.gap...)
	}
	_, _ = g.w.Write(append(bytes.TrimRight(g.line, " "), '\n')) // the Printer below keeps the error
}

func appendBlanks(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}
