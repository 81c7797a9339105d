package render

import "strings"

// Wrap breaks text at blanks into lines of at most so many columns. A word
// that is longer than a line is broken inside.
func Wrap(s string, columns int) []string {
	columns = max(columns, 8) // any character fits
	var lines []string
	line, used := strings.Builder{}, 0
	end := func() {
		if used > 0 {
			lines = append(lines, line.String())
			line.Reset()
			used = 0
		}
	}
	for word := range strings.FieldsSeq(s) {
		n := width(word)
		if used > 0 && used+1+n > columns {
			end()
		}
		for n > columns {
			head := takeLeft(word, columns)
			lines = append(lines, head)
			word = word[len(head):]
			n = width(word)
		}
		if n == 0 {
			continue
		}
		if used > 0 {
			line.WriteByte(' ')
			used++
		}
		line.WriteString(word)
		used += n
	}
	end()
	return lines
}

// Cut leaves out the middle of text that is wider than so many columns: names
// in a fleet begin alike and differ at their end.
func Cut(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	const mark = "…"
	room := max(columns-1, 1)
	return takeLeft(s, (room+1)/2) + mark + takeRight(s, room/2)
}

// Clip leaves out the end of text that is wider than so many columns.
func Clip(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	return takeLeft(s, columns-1) + "…"
}

// Fit makes text that fits exactly so many columns wide, with blanks on the
// side that it does not stand on.
func Fit(s string, columns int, side Align) string {
	blanks := strings.Repeat(" ", max(columns-width(s), 0))
	if side == Right {
		return blanks + s
	}
	return s + blanks
}

// takeLeft is as much of the beginning as fits into so many columns.
func takeLeft(s string, columns int) string {
	used := 0
	for i, r := range s {
		used += width(string(r))
		if used > columns {
			return s[:i]
		}
	}
	return s
}

// takeRight is as much of the end as fits into so many columns.
func takeRight(s string, columns int) string {
	runes := []rune(s)
	used, from := 0, len(runes)
	for from > 0 {
		n := width(string(runes[from-1]))
		if used+n > columns {
			break
		}
		used += n
		from--
	}
	return string(runes[from:])
}
