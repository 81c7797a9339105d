package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes a value and a line break; without indentation it is one line.
// Characters that a terminal would act upon are written as \u escapes: programs
// read them back as they were. On an error nothing is written.
func JSON(w io.Writer, v any, indent bool) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON escapes hidden characters. They occur inside strings only, and
// what is below U+0020 is escaped already but for the encoder's line breaks.
func escapeJSON(b []byte) []byte {
	start := bytes.IndexFunc(b, func(r rune) bool { return r >= 0x7f })
	if start < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)+64), b[:start]...)
	for rest := b[start:]; len(rest) > 0; {
		if rest[0] < 0x7f {
			out, rest = append(out, rest[0]), rest[1:]
			continue
		}
		r, n := utf8.DecodeRune(rest)
		switch {
		case !hidden(r):
			out = append(out, rest[:n]...)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		rest = rest[n:]
	}
	return out
}
