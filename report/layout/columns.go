package layout

import (
	"slices"
	"time"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

// where a column is shown.
type where uint8

const (
	narrow where = 1 << iota // the default tables
	wide                     // --wide
	data                     // CSV

	people = narrow | wide
	detail = wide | data
	always = narrow | wide | data
)

// column is one figure of a T: how it is called, where it is shown, and its
// value.
type column[T any] struct {
	render.Column
	where where
	cell  func(T) render.Cell
}

// nameWidth is how much of a name the default screen shows.
const nameWidth = 16

// tableOf lays out one row for each item, with the columns that are to be seen.
func tableOf[T any](title string, columns []column[T], items []T, show where) render.Table {
	columns = slices.DeleteFunc(slices.Clone(columns), func(c column[T]) bool { return c.where&show == 0 })
	t := render.Table{Title: title, Columns: make([]render.Column, len(columns)), Rows: make([][]render.Cell, len(items))}
	for i, c := range columns {
		t.Columns[i] = c.Column
	}
	cells := make([]render.Cell, len(items)*len(columns))
	for i, item := range items {
		row := cells[i*len(columns) : (i+1)*len(columns)]
		for j, c := range columns {
			row[j] = c.cell(item)
		}
		t.Rows[i] = row
	}
	return t
}

// shown is the choice of columns that the options make.
func (o Options) shown() where {
	if o.Wide {
		return wide
	}
	return narrow
}

// text is a column of words.
func text[T any](w where, key, name string, cell func(T) render.Cell) column[T] {
	return column[T]{render.Column{Key: key, Name: name}, w, cell}
}

// yesNo is a column of flags.
func yesNo(w where, key, name string, get func(*domain) opt.Value[bool]) column[*domain] {
	return text(w, key, name, func(d *domain) render.Cell {
		return opt.Map(get(d), func(on bool) render.Cell {
			if on {
				return render.Str("yes")
			}
			return render.Str("no")
		}).Or(render.Cell{})
	})
}

// number is a column of figures.
func number[T any](w where, key, name string, unit render.Unit, cell func(T) render.Cell) column[T] {
	return column[T]{render.Column{Key: key, Name: name, Unit: unit, Align: render.Right}, w, cell}
}

// size is a column of memory.
func size(w where, key, name string, unit render.Unit, get func(*domain) opt.Value[units.KiB]) column[*domain] {
	return number(w, key+"_kib", name, unit, func(d *domain) render.Cell { return sizeCell(get(d)) })
}

// count is a column of a counter or gauge.
func count(w where, key, name string, unit render.Unit, get func(*domain) xen.Count) column[*domain] {
	return number(w, key, name, unit, func(d *domain) render.Cell { return countCell(get(d)) })
}

// share is a column of a ratio.
func share(key, name string, get func(*domain) report.Ratio) column[*domain] {
	return number(always, key, name, render.Percent, func(d *domain) render.Cell { return shareCell(get(d)) })
}

// rate is a column of pages per second.
func rate(key, name string, get func(*domain) report.Counter) column[*domain] {
	return number(always, key+"_per_second", name, "pages/s", func(d *domain) render.Cell { return rateCell(get(d)) })
}

func idCell(id opt.Value[units.DomID]) render.Cell {
	return opt.Map(id, func(id units.DomID) render.Cell { return render.Int(int64(id)) }).Or(render.Cell{})
}

func countCell(c xen.Count) render.Cell { return opt.Map(c, render.Int).Or(render.Cell{}) }

func sizeCell(k opt.Value[units.KiB]) render.Cell { return opt.Map(k, render.Size).Or(render.Cell{}) }

// pagesCell is a number of pages as an amount of memory.
func pagesCell(c xen.Count) render.Cell {
	return opt.Map(c, func(n int64) render.Cell { return render.Size(units.Pages(n).KiB()) }).Or(render.Cell{})
}

func spanCell(d opt.Value[time.Duration]) render.Cell {
	return opt.Map(d, render.Span).Or(render.Cell{})
}

func shareCell(r report.Ratio) render.Cell {
	v, ok := r.Value.Get()
	part, hasPart := r.Part.Get()
	whole, hasWhole := r.Whole.Get()
	switch {
	case !ok:
		return render.Cell{}
	case hasPart && hasWhole:
		return render.ShareOf(v, part, whole)
	default:
		return render.Share(v)
	}
}

func rateCell(c report.Counter) render.Cell {
	return opt.Map(c.PerSecond, func(f float64) render.Cell { return render.Real(f, 1) }).Or(render.Cell{})
}

// wordCell is absent where there is no word.
func wordCell(s string) render.Cell {
	if s == "" {
		return render.Cell{}
	}
	return render.Str(s)
}

func nameColumn() column[*domain] {
	c := text(always, "name", "name", func(d *domain) render.Cell { return render.Str(d.label) })
	c.Cut = nameWidth
	return c
}
