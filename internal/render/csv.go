package render

import (
	"encoding/csv"
	"fmt"
	"io"
)

// CSV writes a table with the columns' keys as its header and raw values:
// sizes in KiB, ratios between 0 and 1, times in seconds, absent ones empty.
func CSV(w io.Writer, t Table) error {
	c := csv.NewWriter(w)
	record := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		record[i] = col.Key
	}
	if err := c.Write(record); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	for _, row := range t.Rows {
		for i, cell := range row {
			record[i] = cell.raw()
			if cell.kind == kindText {
				record[i] = escapeCSV(record[i])
			}
		}
		if err := c.Write(record); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	c.Flush()
	return c.Error()
}

// CSVText is a text, whoever it came from, as a field that no spreadsheet takes
// for a formula and no terminal acts upon: for rows that are written as they
// are read.
func CSVText(s string) string { return escapeCSV(s) }
