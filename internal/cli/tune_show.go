package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/tune"
	"xtm/xen"
)

func tuneShowCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show what is set for each tmem client",
		ArgsUsage: noArgument,
		Description: `A weight is not what its name says: Xen's test of it is the wrong way round in every source
tree that was read, see docs/tune.md. Shared pools are shown and never touched: their authorisation
is no barrier before Xen 4.9, and with them a 4.5 host can crash.

   xtm tune show
   xtm tune show --format json`,
		Flags: []cli.Flag{viaFlag(), formatFlag("table or json")},
		Action: func(c *cli.Context) error {
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			return t.show()
		},
	}
}

// tuned is the JSON of tune show.
type tuned struct {
	Schema   int               `json:"schema"`
	Way      string            `json:"way"`
	Xen      xen.Version       `json:"xen"`
	Tmem     xen.TmemState     `json:"tmem"`
	Domains  []tune.Domain     `json:"domains"`
	Shared   []xen.TmemPool    `json:"shared_pools,omitempty"`
	Findings []finding.Finding `json:"findings"`
}

func (t *tuneRun) show() error {
	list, _ := t.seen.Snapshot.Tmem.Get()
	out := tuned{
		Schema: 1, Way: t.keeper.Way, Xen: t.seen.Snapshot.Host.Version, Tmem: t.seen.Snapshot.TmemState,
		Domains: append([]tune.Domain{}, t.seen.Domains...), Shared: list.Shared, Findings: t.seen.Findings(),
	}
	if t.format == "json" {
		return render.JSON(t.env.Stdout, out, true)
	}
	doc := render.Document{t.table()}
	if len(out.Findings) > 0 {
		doc = append(doc, render.Findings{List: out.Findings})
	}
	return render.Text(t.env.Stdout, doc, render.Options{Width: t.env.Width, Color: t.env.Terminal && !t.env.NoColor})
}

func (t *tuneRun) table() render.Table {
	table := render.Table{
		Title: fmt.Sprintf("Tmem clients of Xen %s, by %s", t.seen.Snapshot.Host.Version, t.keeper.Way),
		Columns: []render.Column{
			{Key: "name", Name: "Domain", Cut: 24},
			{Key: "domid", Name: "ID", Align: render.Right},
			{Key: "weight", Name: "Weight", Align: render.Right},
			{Key: "compress", Name: "Compress"},
			{Key: "frozen", Name: "Frozen"},
			{Key: "ephemeral_kib", Name: "Ephemeral", Unit: render.MiB, Align: render.Right},
			{Key: "persistent_kib", Name: "Persistent", Unit: render.MiB, Align: render.Right},
		},
		Absent: "it has no such pool",
	}
	for _, d := range t.seen.Domains {
		table.Rows = append(table.Rows, []render.Cell{
			render.Str(d.Name), render.Int(int64(d.ID)), render.Int(int64(d.Weight)), render.Str(onOff(d.Compress)), render.Str(frozenWord(d)),
			pagesCell(d.Ephemeral), pagesCell(d.Persistent),
		})
	}
	return table
}

func frozenWord(d tune.Domain) string {
	why, busy := d.Busy()
	switch {
	case d.Hold != nil && d.Frozen:
		return "by xtm until " + d.Hold.Deadline.UTC().Format("15:04:05 MST")
	case busy:
		return "yes: " + why
	case d.Frozen:
		return "yes, not by xtm"
	}
	return "no"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func pagesCell(c xen.Count) render.Cell {
	k, ok := opt.Map(c, func(n int64) units.KiB { return units.Pages(n).KiB() }).Get()
	if !ok {
		return render.Cell{}
	}
	return render.Size(k)
}
