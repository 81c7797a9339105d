package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"strconv"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report/history"
)

func historyExportCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "print what was recorded, row by row, as CSV or JSON lines", ArgsUsage: noArgument,
		Description: `Rows are as they are kept: figures are those that Xen printed, sizes are in KiB and pages of
4 KiB, an empty field was not told.

   xtm history export --since 7d > week.csv
   xtm history export --host --hours --format jsonl`,
		Flags: append(
			rangeFlags(),
			&cli.StringSliceFlag{Name: "domain", Usage: "only this `NAME|ID|UUID` (may be repeated)"},
			&cli.BoolFlag{Name: "host", Usage: "the rows of the host instead of those of the domains"},
			&cli.BoolFlag{Name: "hours", Usage: "one row for each closed hour, with means and rises"},
			formatFlag("csv or jsonl"),
			historyFlag(),
		),
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			s, err := parseSpan(c.String("since"), c.String("until"), env.Now())
			if err != nil {
				return err
			}
			q := history.ExportQuery{From: s.from, To: s.to, Domains: c.StringSlice("domain"), Host: c.Bool("host"), Hours: c.Bool("hours")}
			return withHistory(c.Context, env, c.String("history"), true, func(db *history.DB) error {
				return exportHistory(c.Context, env, db, q, c.String("format"))
			})
		},
	}
}

func exportHistory(ctx context.Context, env Env, db *history.DB, q history.ExportQuery, format string) error {
	w := bufio.NewWriterSize(env.Stdout, 1<<16)
	rows := csv.NewWriter(w)
	write := func(r history.Record) error { return rows.Write(csvRecord(r)) }
	if format == "jsonl" {
		write = func(r history.Record) error { return render.JSON(w, lineOf(r), false) }
	} else if err := rows.Write(append([]string{"time", "domid", "uuid", "name"}, q.Columns()...)); err != nil {
		return err
	}
	notes, err := db.Export(ctx, q, write)
	if err != nil {
		return err
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return err
	}
	for _, n := range notes {
		say(env, n)
	}
	return w.Flush()
}

const milliseconds = "2006-01-02T15:04:05.000Z"

// csvRecord is a row. Names come from whoever made the domain: what a
// spreadsheet would act upon is escaped as in every other table.
func csvRecord(r history.Record) []string {
	id := opt.Map(r.ID, func(id units.DomID) string { return strconv.Itoa(int(id)) }).Or("")
	out := append(make([]string, 0, 4+len(r.Values)), r.Time.Format(milliseconds), id, r.UUID, render.CSVText(r.Name))
	for _, v := range r.Values {
		out = append(out, opt.Map(v, func(n int64) string { return strconv.FormatInt(n, 10) }).Or(""))
	}
	return out
}

// exportedLine is a row as a JSON object; what was not told is left out.
type exportedLine struct {
	Time   string                 `json:"time"`
	ID     opt.Value[units.DomID] `json:"domid,omitzero"`
	UUID   string                 `json:"uuid,omitempty"`
	Name   string                 `json:"name,omitempty"`
	Values map[string]int64       `json:"values"`
}

func lineOf(r history.Record) exportedLine {
	line := exportedLine{r.Time.Format(milliseconds), r.ID, r.UUID, r.Name, map[string]int64{}}
	for i, v := range r.Values {
		if n, ok := v.Get(); ok {
			line.Values[r.Columns[i]] = n
		}
	}
	return line
}
