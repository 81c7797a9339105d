package render

import (
	"io"
	"strings"

	"xtm/internal/finding"
)

// Markdown writes a document in GitHub's Markdown. It is never wrapped or cut.
func Markdown(w io.Writer, doc Document) error {
	m := markdown{NewPrinter(w)}
	for i, b := range doc {
		if i > 0 {
			m.Print("\n")
		}
		if err := m.block(b); err != nil {
			return err
		}
	}
	return m.Flush()
}

type markdown struct{ *Printer }

func (m markdown) block(b Block) error {
	switch b := b.(type) {
	case Heading:
		m.Print(strings.Repeat("#", max(b.Level, 1)), " ", escapeMarkdown(b.Text), "\n")
	case Paragraph:
		m.Print(escapeMarkdownLine(string(b)), "\n")
	case Fields:
		for _, f := range b {
			m.Print("- **", escapeMarkdown(f.Label), ":** ", escapeMarkdown(f.Text), "\n")
			if f.Advice != "" {
				m.Print("  Do: ", escapeMarkdown(f.Advice), "\n")
			}
		}
	case Table:
		return m.table(b)
	case Bullets:
		for _, s := range b {
			m.Print("- ", escapeMarkdownLine(s), "\n")
		}
	case Findings:
		for _, f := range b.worstFirst() {
			m.finding(f, b.Evidence)
		}
	case Hints:
		for _, s := range b {
			m.Print("- hint: ", escapeMarkdown(s), "\n")
		}
	}
	return nil
}

func (m markdown) finding(f finding.Finding, withEvidence bool) {
	m.Print("- **", Word(f.Verdict), "** ")
	if f.Subject != "" {
		m.Print(escapeMarkdown(f.Subject), ": ")
	}
	m.Print(escapeMarkdown(f.Seen), " (", escapeMarkdown(f.Check), ")\n")
	if f.Advice != "" {
		m.Print("  ", escapeMarkdownLine(f.Advice), "\n")
	}
	if withEvidence {
		for _, e := range f.Evidence {
			m.Print("  - ", escapeMarkdownLine(evidence(e)), "\n")
		}
	}
	if len(f.Commands) == 0 {
		return
	}
	// The fence must be longer than any run of backticks in it.
	fence := "```"
	for _, c := range f.Commands {
		for strings.Contains(c, fence) {
			fence += "`"
		}
	}
	m.Print("\n  ", fence, "sh\n")
	for _, c := range f.Commands {
		m.Print("  ", Escape(c), "\n")
	}
	m.Print("  ", fence, "\n")
}

func (m markdown) table(t Table) error {
	if t.Title != "" {
		m.Print("## ", escapeMarkdown(t.Title), "\n\n")
	}
	header := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		header[i] = escapeMarkdown(c.heading())
	}
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make([]string, len(t.Columns))
		for j, c := range row {
			rows[i][j] = c.text(t.Columns[j].Unit, true)
			if c.kind == kindText {
				rows[i][j] = escapeMarkdown(rows[i][j])
			}
		}
	}
	if err := grid(m, header, rows, t.Columns, newMarkdownGrid(), " "); err != nil {
		return err
	}
	for _, n := range t.notes() {
		m.Print("\n", escapeMarkdownLine(n), "\n")
	}
	return nil
}
