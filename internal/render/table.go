package render

import "strings"

// Align is the side that a column's cells stand on.
type Align uint8

// The sides: text stands left, numbers right.
const (
	Left Align = iota
	Right
)

// Column is a column of a Table.
type Column struct {
	// Key is the column's name for programs, with the raw unit: "current_kib".
	Key string
	// Name is its name for people; "\n" is where a header may break.
	Name  string
	Unit  Unit // shown below the name; "" is none
	Align Align
	// Cut bounds the width of the column's text unless the table is wide: the
	// middle of longer text is left out. It is also the column that gives way
	// where the table is wider than the page. 0 never cuts.
	Cut int
}

// Table is rows of typed cells under named columns.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]Cell
	// Absent says why a cell may be absent; it is shown where one is.
	Absent string
	// Notes are shown below the table.
	Notes []string
}

// notes are what stands below the table.
func (t Table) notes() []string {
	if t.Absent == "" || !t.hasAbsent() {
		return t.Notes
	}
	return append([]string{absentMark + ": " + t.Absent}, t.Notes...)
}

func (t Table) hasAbsent() bool {
	for _, row := range t.Rows {
		for _, c := range row {
			if c.kind == kindAbsent {
				return true
			}
		}
	}
	return false
}

// heading is a column's name on one line, with its unit.
func (c Column) heading() string {
	s := strings.ReplaceAll(c.Name, "\n", " ")
	switch {
	case c.Unit == "":
		return s
	case s == "":
		return string(c.Unit)
	default:
		return s + " (" + string(c.Unit) + ")"
	}
}
