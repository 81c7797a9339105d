package top

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"xtm/internal/render"
)

// Batch writes the domains' table again and again, all columns but the picture,
// each line behind the time of its reading: for files and for grep, in lines
// that have no other width than their text. It ends after so many readings (0
// is never), at the end of a recording, or with the context.
func Batch(ctx context.Context, m *Model, src Source, w io.Writer, times int) error {
	for n := 1; ; n++ {
		snap, err := src.Snapshot(ctx)
		if errors.Is(err, ErrEnd) || ctx.Err() != nil {
			return nil //nolint:nilerr // both are ways to end it
		}
		if err != nil {
			return err
		}
		m.Add(snap)
		if err := m.batch(w); err != nil {
			return err
		}
		if n == times {
			return nil
		}
		wait := time.NewTimer(m.delay)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// batch writes the table once.
func (m *Model) batch(w io.Writer) error {
	p := render.NewPrinter(w)
	told := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.name == "memory" })
	p.Print("TIME                 ")
	for _, c := range told {
		p.Print(" ", cell(c, c.head, c.width))
	}
	p.Print(" WHY\n")
	stamp := m.report.End.UTC().Format(time.RFC3339)
	for _, r := range m.rows() {
		var line strings.Builder
		line.WriteString(render.Fit(stamp, 21, render.Left))
		for _, c := range told {
			text := render.Escape(c.text(r))
			if len(text) < c.width || c.name != "name" { // a name is never cut
				text = cell(c, text, c.width)
			}
			line.WriteString(" " + text)
		}
		if r.why != "" {
			line.WriteString(" " + render.Escape(r.why))
		}
		p.Print(strings.TrimRight(line.String(), " "), "\n")
	}
	return p.Flush()
}
