package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report/history"
	"xtm/xen"
)

func trendCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "trend", Usage: "show how memory and efficiency went, out of the history", ArgsUsage: noArgument,
		Description: `   xtm report trend                            the last day
   xtm report trend --since 7d --domain web1   one domain over a week
   xtm report trend --since 30d --format csv   the figures behind it`,
		Flags: append(
			rangeFlags(),
			&cli.StringSliceFlag{Name: "domain", Usage: "only this `NAME|ID|UUID` (may be repeated)"},
			&cli.IntFlag{Name: "points", Usage: "how many points a domain gets (default: as many as fit; 300 in CSV and JSON)"},
			formatFlag("table, json or csv"),
			historyFlag(),
		),
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			if c.IsSet("points") && (c.Int("points") < 1 || c.Int("points") > mostPoints) {
				return &usageError{fmt.Sprintf("--points wants a number from 1 to %d", mostPoints), nil}
			}
			since := c.String("since")
			if since == "" {
				since = "24h"
			}
			s, err := parseSpan(since, c.String("until"), env.Now())
			if err != nil {
				return err
			}
			q := history.Query{From: s.from, To: s.to, Domains: c.StringSlice("domain"), Points: c.Int("points")}
			return withHistory(c.Context, env, c.String("history"), true, func(db *history.DB) error {
				return showTrend(c, env, db, q)
			})
		},
	}
}

// mostPoints bounds what a user may ask for.
const mostPoints = 100_000

func showTrend(c *cli.Context, env Env, db *history.DB, q history.Query) error {
	format, width := c.String("format"), env.Width
	if width == 0 {
		width = render.DefaultWidth
	}
	if q.Points == 0 {
		q.Points = 300
		if format == "table" {
			q.Points = sparkWidth(width)
		}
	}
	r, err := db.Range(c.Context, q)
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		say(env, n)
	}
	switch format {
	case "json":
		return render.JSON(env.Stdout, trendOf(r), true)
	case "csv":
		return render.CSV(env.Stdout, trendTable(trendOf(r)))
	default:
		return render.Text(env.Stdout, trendDocument(r, q.Points), render.Options{Width: width})
	}
}

// sparkWidth is what three trends of a line get beside a name and their last
// figures.
func sparkWidth(page int) int { return min(40, max(8, (page-16-24-12)/3)) }

// trend is what --format json prints.
type trend struct {
	Schema int       `json:"schema"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Step is the time that a point stands for; Hours tells that points are
	// made of whole hours.
	Step    float64       `json:"step_seconds"`
	Hours   bool          `json:"hours"`
	Gaps    []history.Gap `json:"gaps,omitempty"`
	Domains []trendDomain `json:"domains"`
	Host    []trendOfHost `json:"host"`
}

type trendDomain struct {
	ID     opt.Value[units.DomID] `json:"domid,omitzero"`
	UUID   string                 `json:"uuid,omitempty"`
	Name   string                 `json:"name"`
	Lives  int                    `json:"lives"`
	Points []trendPoint           `json:"points"`
}

// trendPoint is a point with the figures that a picture needs. Levels are
// means, counts are the rises within the point.
type trendPoint struct {
	Since             time.Time          `json:"since"`
	Until             time.Time          `json:"until"`
	Samples           int                `json:"samples"`
	Resets            int                `json:"resets,omitempty"`
	Current           xen.Count          `json:"current_kib,omitzero"`
	Ephemeral         xen.Count          `json:"ephemeral_pages,omitzero"`
	Persistent        xen.Count          `json:"persistent_pages,omitzero"`
	HitRate           opt.Value[float64] `json:"hit_rate,omitzero"`
	Acceptance        opt.Value[float64] `json:"put_acceptance,omitzero"`
	DiskReadsAvoided  xen.Count          `json:"disk_reads_avoided_pages,omitzero"`
	SwapWritesAvoided xen.Count          `json:"swap_writes_avoided_pages,omitzero"`
	SwapReadsAvoided  xen.Count          `json:"swap_reads_avoided_pages,omitzero"`
}

type trendOfHost struct {
	Since             time.Time `json:"since"`
	Until             time.Time `json:"until"`
	Samples           int       `json:"samples"`
	Resets            int       `json:"resets,omitempty"`
	Free              xen.Count `json:"free_kib,omitzero"`
	LeastFree         xen.Count `json:"least_free_kib,omitzero"`
	Dom0              xen.Count `json:"dom0_kib,omitzero"`
	Guests            xen.Count `json:"guests_kib,omitzero"`
	Persistent        xen.Count `json:"guests_persistent_kib,omitzero"`
	Ephemeral         xen.Count `json:"ephemeral_pages,omitzero"`
	FreeList          xen.Count `json:"tmem_free_list_pages,omitzero"`
	Evicted           xen.Count `json:"evicted_pages,omitzero"`
	DiskReadsAvoided  xen.Count `json:"disk_reads_avoided_pages,omitzero"`
	SwapWritesAvoided xen.Count `json:"swap_writes_avoided_pages,omitzero"`
	SwapReadsAvoided  xen.Count `json:"swap_reads_avoided_pages,omitzero"`
}

func trendOf(r history.Range) trend {
	t := trend{
		Schema: 1, From: r.From.UTC(), To: r.To.UTC(), Step: r.Step.Seconds(), Hours: r.Hours, Gaps: r.Gaps,
		Domains: make([]trendDomain, len(r.Domains)), Host: make([]trendOfHost, len(r.Host)),
	}
	for i := range r.Host {
		p := &r.Host[i]
		t.Host[i] = trendOfHost{
			Since: p.Since, Until: p.Until, Samples: p.Samples, Resets: p.Resets,
			Free: p.Mean(history.Free), LeastFree: p.Low(history.Free), Dom0: p.Mean(history.Dom0), Guests: p.Mean(history.Guests),
			Persistent: p.Mean(history.GuestsPersistent), Ephemeral: p.Mean(history.HostEphemeralPages),
			FreeList: p.Mean(history.FreeListPages), Evicted: p.Rise(history.Evicted),
			DiskReadsAvoided: p.Rise(history.HostDiskReadsAvoided), SwapWritesAvoided: p.Rise(history.HostSwapWritesAvoided),
			SwapReadsAvoided: p.Rise(history.HostSwapReadsAvoided),
		}
	}
	for i := range r.Domains {
		s := &r.Domains[i]
		d := trendDomain{ID: s.ID, UUID: s.UUID, Name: s.Name, Lives: s.Lives, Points: make([]trendPoint, len(s.Points))}
		for j := range s.Points {
			p := &s.Points[j]
			d.Points[j] = trendPoint{
				Since: p.Since, Until: p.Until, Samples: p.Samples, Resets: p.Resets,
				Current: p.Mean(history.Current), Ephemeral: p.Mean(history.EphemeralPages), Persistent: p.Mean(history.PersistentPages),
				HitRate:           p.Share(history.EphemeralGets, history.EphemeralGetTries).Value,
				Acceptance:        p.Share(history.PersistentPuts, history.PersistentPutTries).Value,
				DiskReadsAvoided:  p.Rise(history.DiskReadsAvoided),
				SwapWritesAvoided: p.Rise(history.SwapWritesAvoided),
				SwapReadsAvoided:  p.Rise(history.SwapReadsAvoided),
			}
		}
		t.Domains[i] = d
	}
	return t
}
