package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var hostileText = []string{
	"", "plain", "\x1b[2J\x1b]0;owned\x07", "a\u009b31mred", "line\nbreak\r\ttab", "safe\u202egnp.exe", "\u2066x\u2069", "zero\u200bwidth",
	"tag\U000e0041", "bad\xff\xfe", "real\ufffd", "nbsp\u00a0", "\u3164", "variation\ufe0f", "\\x1b", "=1+1", "+1", "-1", "@x", "\t=1", "＝1",
	"a|b", "`code`", "``` fence", "<script>", "&lt;", "[a](b)", "![a](b)", "*a* _b_ ~~c~~", "# head", "1. item", "1) item", "- item", "+ item",
	"http://a.b", "www.a.b", "a@b.c", "$x$", "| a | b |", "名前", "e\u0301", "---", "===", "ends in a blank ",
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"web1": "web1", "名前 é": "名前 é", `C:\x`: `C:\x`,
		"\x1b[31m": `\x1b[31m`, "a\u009b": `a\u009b`, "a\nb": `a\x0ab`, "\x7f": `\x7f`, "a\u00a0b": `a\u00a0b`,
		"x\u202ey": `x\u202ey`, "\u200b": `\u200b`, "\U000e0041": `\U000e0041`, "\u3164": `\u3164`, "\ufe0f": `\ufe0f`,
		"\xff": `\xff`, "\xe2\x82": `\xe2\x82`, "\ufffd": "\ufffd",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEscapeMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"web1": "web1", "18.1 %": "18.1 %", "a|b": `a\|b`, "`c`": "\\`c\\`", "<b>&": "&lt;b&gt;&amp;", "[a](b)": `\[a\](b)`,
		"http://a.b/c": `http\://a.b/c`, "www.a.b": `www\.a.b`, "# a": `\# a`, `a\b`: `a\\b`, "\x1b[m": `\\x1b\[m`,
		"-b----": "-b----", "1. a": "1. a",
	} {
		if got := escapeMarkdown(in); got != want {
			t.Errorf("escapeMarkdown(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "", "web1": "web1", "1. a": `1\. a`, "1": "1", "2)": `2\)`, "- a": `\- a`, "+ a": `\+ a`, "===": `\===`,
	} {
		if got := escapeMarkdownLine(in); got != want {
			t.Errorf("escapeMarkdownLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEscapeCSV(t *testing.T) {
	for in, want := range map[string]string{
		"web1": "web1", "": "", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": `'\x09=1`, "\r=1": `'\x0d=1`,
		"＝1": "'＝1", "a=1": "a=1", "\x1b=": `\x1b=`,
	} {
		if got := escapeCSV(in); got != want {
			t.Errorf("escapeCSV(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzText puts any text into every place of a document and looks at what each
// writer makes of it.
func FuzzText(f *testing.F) {
	for _, s := range hostileText {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = 20 + (width%100+100)%100
		table := Table{
			Title: s, Columns: []Column{{Key: "name", Name: "name", Cut: 16}, {Key: "n", Name: "n", Unit: KiB, Align: Right}},
			Rows: [][]Cell{{Str(s), Size(7)}, {Str("x"), {}}}, Absent: s, Notes: []string{s},
		}
		doc := Document{
			Heading{1, s},
			Paragraph(s),
			Fields{{s, s, s}},
			table,
			Bullets{s},
			Hints{s},
			Findings{List: findingsOf(s), Evidence: true},
		}
		var b bytes.Buffer
		if err := Text(&b, doc, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if Escape(line) != line {
				t.Errorf("text is not escaped: %q", line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("blanks at the end: %q", line)
			}
		}
		b.Reset()
		if err := Markdown(&b, doc); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(b.String(), "\n", ""); Escape(got) != got {
			t.Errorf("Markdown is not escaped: %q", got)
		}
		if n := strings.Count(b.String(), "\n| "); n != 3 {
			t.Errorf("the Markdown table has %d lines that begin with a cell, not 3:\n%s", n, b.String())
		}
		b.Reset()
		if err := CSV(&b, table); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 3 || rows[1][0] != escapeCSV(s) || rows[1][1] != "7" || rows[2][1] != "" {
			t.Errorf("CSV of %q: %q, %v", s, rows, err)
		}
		b.Reset()
		if err := JSON(&b, s, false); err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || utf8.ValidString(s) && back != s {
			t.Errorf("JSON of %q: %q, %v", s, b.String(), err)
		}
		if got := strings.TrimSuffix(b.String(), "\n"); Escape(got) != got {
			t.Errorf("JSON is not escaped: %q", got)
		}
	})
}
