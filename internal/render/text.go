package render

import (
	"io"
	"strings"

	"xtm/internal/finding"
)

// DefaultWidth is the width of a page where the caller does not know it.
const DefaultWidth = 100

// Options say how text is to look.
type Options struct {
	// Width is the number of columns of the page; 0 is DefaultWidth. Numbers
	// and commands are never broken: where they do not fit they stand out.
	Width int
	// Color marks verdicts with the terminal's colours.
	Color bool
	// Wide cuts no names and shows the parts of shares.
	Wide bool
}

// Text writes a document for a terminal.
func Text(w io.Writer, doc Document, o Options) error {
	if o.Width <= 0 {
		o.Width = DefaultWidth
	}
	t := text{NewPrinter(w), o}
	for i, b := range doc {
		if i > 0 {
			if _, below := doc[i-1].(Heading); !below {
				t.Print("\n")
			}
		}
		if err := t.block(b); err != nil {
			return err
		}
	}
	return t.Flush()
}

type text struct {
	*Printer
	Options
}

func (t text) block(b Block) error {
	switch b := b.(type) {
	case Heading:
		t.line(Escape(b.Text))
		if b.Level == 1 {
			t.line(strings.Repeat("=", min(width(Escape(b.Text)), t.Width)))
		}
	case Paragraph:
		t.hang("", "", string(b))
	case Fields:
		t.fields(b)
	case Table:
		return t.table(b)
	case Bullets:
		for _, s := range b {
			t.hang("- ", "  ", s)
		}
	case Findings:
		t.findings(b)
	case Hints:
		for _, s := range b {
			t.hang("hint: ", "      ", s)
		}
	}
	return nil
}

// line writes a line that is not wrapped, without blanks at its end.
func (t text) line(s string) { t.Print(strings.TrimRight(s, " "), "\n") }

// hang writes text wrapped to the page, with one prefix for its first line and
// another for the rest. The prefixes are equally wide.
func (t text) hang(first, rest, s string) {
	for i, line := range Wrap(Escape(s), t.Width-width(rest)) {
		if i > 0 {
			first = rest
		}
		t.Print(first, line, "\n")
	}
}

// fields puts labels into a column of their own.
func (t text) fields(fields Fields) {
	const most = 24
	column := 0
	for _, f := range fields {
		column = max(column, min(width(Escape(f.Label)), most))
	}
	rest := strings.Repeat(" ", column+2)
	for _, f := range fields {
		label := Escape(f.Label)
		if width(label) > column || f.Text == "" {
			t.line(label)
			label = ""
		}
		t.hang(label+rest[width(label):], rest, f.Text)
		t.hang(rest+"Do: ", rest+"    ", f.Advice)
	}
}

func (t text) findings(f Findings) {
	list := f.worstFirst()
	column := 0
	for _, f := range list {
		column = max(column, len(Word(f.Verdict)))
	}
	rest := strings.Repeat(" ", column+2)
	for _, item := range list {
		word := Word(item.Verdict)
		head := item.Seen
		if item.Subject != "" {
			head = item.Subject + ": " + head
		}
		t.hang(t.colored(item.Verdict, word)+rest[len(word):], rest, head+" ["+item.Check+"]")
		t.hang(rest, rest, item.Advice)
		for _, c := range item.Commands {
			t.line(rest + "  " + Escape(c))
		}
		if f.Evidence {
			for _, e := range item.Evidence {
				t.hang(rest+"- ", rest+"  ", evidence(e))
			}
		}
	}
}

func evidence(e finding.Evidence) string {
	s := e.Name + " " + e.Value
	if e.Source != "" {
		s += " (" + e.Source + ")"
	}
	return s
}

// colored marks a verdict's word: the only colours there are.
func (t text) colored(v finding.Verdict, word string) string {
	code := map[finding.Verdict]string{
		finding.Good: "32", finding.Warning: "33", finding.Bad: "31", finding.Dangerous: "1;31",
	}[v]
	if !t.Color || code == "" {
		return word
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

func (t text) table(table Table) error {
	if table.Title != "" {
		t.hang("", "", table.Title)
	}
	columns := table.Columns
	rows := make([][]string, len(table.Rows))
	widths := make([]int, len(columns))
	header := headerLines(columns, widths)
	for i, row := range table.Rows {
		rows[i] = make([]string, len(columns))
		for j, c := range row {
			s := c.text(columns[j].Unit, t.Wide)
			if c.kind == kindText {
				s = Escape(s)
				if columns[j].Cut > 0 && !t.Wide {
					s = Cut(s, columns[j].Cut)
				}
			}
			rows[i][j] = s
			widths[j] = max(widths[j], width(s))
		}
	}
	gap := t.fit(columns, widths, rows)
	if err := grid(t, header, rows, columns, &plainGrid{columns: columns, gap: gap}, ""); err != nil {
		return err
	}
	for _, n := range table.notes() {
		t.hang("", "", n)
	}
	return nil
}

// fit makes a table fit the page as far as it can: names give way down to 8
// columns, then the gaps between columns.
func (t text) fit(columns []Column, widths []int, rows [][]string) (gap string) {
	const least = 8
	gap = "  "
	over := -t.Width - len(gap)
	for _, w := range widths {
		over += w + len(gap)
	}
	if over <= 0 || t.Wide {
		return gap
	}
	for j, c := range columns {
		if c.Cut > 0 && widths[j] > least {
			to := max(widths[j]-over, least)
			over -= widths[j] - to
			for _, row := range rows {
				row[j] = Cut(row[j], to)
			}
		}
	}
	if over > 0 {
		gap = " "
	}
	return gap
}

// headerLines breaks the names of columns where they may break, puts the units
// below, and lets all of them end on the same line.
func headerLines(columns []Column, widths []int) []string {
	lines := make([][]string, len(columns))
	most := 0
	for i, c := range columns {
		if c.Name != "" {
			lines[i] = strings.Split(c.Name, "\n")
		}
		if c.Unit != "" {
			lines[i] = append(lines[i], string(c.Unit))
		}
		most = max(most, len(lines[i]))
		for _, l := range lines[i] {
			widths[i] = max(widths[i], width(l))
		}
	}
	header := make([]string, len(columns))
	for i, l := range lines {
		header[i] = strings.Repeat("\n", most-len(l)) + strings.Join(l, "\n")
	}
	return header
}
