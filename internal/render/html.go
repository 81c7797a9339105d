package render

import (
	"html"
	"io"
	"strconv"

	"xtm/internal/finding"
)

// HTML writes a document as the inside of a page: headings, lists and tables
// whose cells carry the raw value in data-v for sorting. Headings begin one
// level below the document's own, because the page has a title; no element has
// an id, a style or a script.
func HTML(w io.Writer, doc Document) error {
	h := hypertext{NewPrinter(w)}
	for _, b := range doc {
		h.block(b)
	}
	return h.Flush()
}

type hypertext struct{ *Printer }

// escapeHTML makes text stand for itself in an element and in a quoted
// attribute.
func escapeHTML(s string) string { return html.EscapeString(Escape(s)) }

// element writes <name class="class">text</name>; class "" is none.
func (h hypertext) element(name, class, text string) {
	h.Print("<", name)
	if class != "" {
		h.Print(` class="`, escapeHTML(class), `"`)
	}
	h.Print(">", escapeHTML(text), "</", name, ">\n")
}

func (h hypertext) block(b Block) {
	switch b := b.(type) {
	case Heading:
		h.element("h"+strconv.Itoa(min(max(b.Level, 1)+1, 6)), "", b.Text)
	case Paragraph:
		h.element("p", "", string(b))
	case Fields:
		h.Print("<dl>\n")
		for _, f := range b {
			h.element("dt", "", f.Label)
			h.element("dd", "", f.Text)
			if f.Advice != "" {
				h.element("dd", "advice", f.Advice)
			}
		}
		h.Print("</dl>\n")
	case Table:
		h.table(b)
	case Bullets:
		h.list("", b)
	case Findings:
		h.Print(`<ul class="findings">`, "\n")
		for _, f := range b.worstFirst() {
			h.finding(f, b.Evidence)
		}
		h.Print("</ul>\n")
	case Hints:
		h.list("hints", b)
	}
}

func (h hypertext) list(class string, items []string) {
	if class == "" {
		h.Print("<ul>\n")
	} else {
		h.Print(`<ul class="`, class, `">`, "\n")
	}
	for _, s := range items {
		h.element("li", "", s)
	}
	h.Print("</ul>\n")
}

func (h hypertext) finding(f finding.Finding, withEvidence bool) {
	h.Print(`<li class="verdict-`, escapeHTML(string(f.Verdict)), `">`)
	h.element("strong", "", Word(f.Verdict))
	seen := f.Seen
	if f.Subject != "" {
		seen = f.Subject + ": " + seen
	}
	h.Print(escapeHTML(seen), " ")
	h.element("small", "", f.Check)
	if f.Advice != "" {
		h.element("p", "advice", f.Advice)
	}
	if withEvidence && len(f.Evidence) > 0 {
		lines := make([]string, len(f.Evidence))
		for i, e := range f.Evidence {
			lines[i] = evidence(e)
		}
		h.list("evidence", lines)
	}
	for _, c := range f.Commands {
		h.element("pre", "", c)
	}
	h.Print("</li>\n")
}

func (h hypertext) table(t Table) {
	h.Print(`<div class="wide"><table>`, "\n")
	if t.Title != "" {
		h.element("caption", "", t.Title)
	}
	h.Print("<thead><tr>")
	for _, c := range t.Columns {
		h.Print(`<th scope="col"`, sideOf(c), ">", escapeHTML(c.heading()), "</th>")
	}
	h.Print("</tr></thead>\n<tbody>\n")
	for _, row := range t.Rows {
		h.Print("<tr>")
		for j, c := range row {
			name := "td"
			if j == 0 {
				name = `th scope="row"`
			}
			h.Print("<", name, sideOf(t.Columns[j]), ` data-v="`, escapeHTML(c.raw()), `">`,
				escapeHTML(c.text(t.Columns[j].Unit, false)), "</", name[:2], ">")
		}
		h.Print("</tr>\n")
	}
	h.Print("</tbody></table></div>\n")
	for _, n := range t.notes() {
		h.element("p", "note", n)
	}
}

// sideOf is the attribute of a column that stands right.
func sideOf(c Column) string {
	if c.Align == Right {
		return ` class="number"`
	}
	return ""
}
