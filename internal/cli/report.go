package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/render"
	"xtm/report"
	"xtm/report/html"
	"xtm/report/layout"
	"xtm/xen"
)

func reportCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "show what tmem saves, per domain, and how far the host is overcommitted",
		ArgsUsage: noArgument,
		Description: `Run it as root in Dom0. It needs no tmem: on a host without it, memory and overcommit are
reported, and why the rest is missing.

   xtm report                          the host, now
   xtm report --interval 10s           with rates over ten seconds
   xtm report --source host.tar.gz     a host that xtm capture recorded
   xtm report --source list.txt        a saved "xl tmem-list -l -a", or a saved xentop screen
   xtm report --demo                   a recorded host, to see what it looks like
   xtm report --record                 the host, now, and keep it in the history
   xtm report --since 24h              the last day, out of the history
   xtm report trend                    how it went, drawn in lines`,
		Subcommands: []*cli.Command{trendCommand(env)},
		Flags: append(
			rangeFlags(),
			&cli.StringFlag{
				Name: "source", Aliases: []string{"from"}, Value: "auto",
				Usage: "auto (hypercall, else xl), libvirt, a capture, a saved tmem listing or a saved xentop screen", TakesFile: true,
			},
			&cli.BoolFlag{Name: "demo", Usage: "report on a recorded host that comes with xtm"},
			&cli.DurationFlag{Name: "interval", Usage: "read the host twice, this far apart, and show rates"},
			&cli.StringFlag{Name: "against", Usage: "compare with this earlier `CAPTURE` and show rates", TakesFile: true},
			&cli.DurationFlag{Name: "every", Usage: "report again after this time, until interrupted"},
			formatFlag("table, json, csv, markdown or html (a page with charts out of the history)"),
			&cli.BoolFlag{Name: "wide", Usage: "all columns, whole names, ratios with their parts"},
			&cli.BoolFlag{Name: "pools", Usage: "show each pool"},
			&cli.StringFlag{Name: "sort", Usage: "order of the domains: " + strings.Join(layout.SortKeys(), ", ")},
			&cli.StringSliceFlag{Name: "domain", Usage: "only this `NAME|ID|UUID` (may be repeated)"},
			&cli.StringFlag{Name: "units", Value: "auto", Usage: "auto, pages, KiB, MiB or GiB"},
			&cli.StringFlag{Name: "thresholds", Usage: "TOML `FILE` that replaces limits of the checks", TakesFile: true},
			&cli.BoolFlag{Name: "check", Usage: "exit with 3 when a finding is a problem"},
			&cli.BoolFlag{Name: "require-tmem", Usage: "exit with 4 when the host has no tmem"},
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of --format json and exit"},
			&cli.BoolFlag{Name: "record", Usage: "add what was read to the history"},
			historyFlag(),
		),
		Action: func(c *cli.Context) error {
			o, err := reportOptionsOf(c, env.Now)
			if err != nil {
				return err
			}
			if c.Bool("schema") {
				_, err := env.Stdout.Write(layout.SchemaJSON())
				return err
			}
			return o.run(c.Context, env)
		},
	}
}

// run reads and reports once, or until the context ends.
func (o reportOptions) run(ctx context.Context, env Env) error {
	if !o.past.to.IsZero() {
		return o.runPast(ctx, env)
	}
	src, err := o.open(env)
	if err != nil {
		return err
	}
	prev, err := o.earlier(ctx, env, src)
	if err != nil {
		return err
	}
	keep := recorder{env: env, reportOptions: o}
	defer keep.close()
	for {
		cur, err := src.Snapshot(ctx)
		if err != nil {
			return o.ended(ctx, err)
		}
		keep.add(ctx, cur)
		r := report.Compute(prev, cur, o.rules)
		if o.format == "html" {
			o.charts = o.lately(ctx, env, r)
		}
		if err := o.showDomains(env, r); err != nil {
			return err
		}
		if o.every == 0 {
			return cmp.Or(keep.failure, o.outcome(r))
		}
		prev = &cur
		if !sleep(ctx, o.every) {
			return nil
		}
	}
}

// ended is the end of a run that could not read once more: with --every an
// interrupt is how a user ends it.
func (o reportOptions) ended(ctx context.Context, err error) error {
	if o.every > 0 && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return explainNoSnapshot(err)
}

func (o reportOptions) open(env Env) (source, error) {
	if o.demo {
		return demoSource()
	}
	return openSource(env, o.source)
}

// earlier is the snapshot to compare with, or nil.
func (o reportOptions) earlier(ctx context.Context, env Env, src source) (*xen.Snapshot, error) {
	if o.against != "" {
		before, err := openSource(env, o.against)
		if err != nil {
			return nil, err
		}
		src = before
	} else if o.interval == 0 {
		return nil, nil
	}
	snap, err := src.Snapshot(ctx)
	if err != nil {
		return nil, explainNoSnapshot(err)
	}
	if o.interval > 0 && !sleep(ctx, o.interval) {
		return nil, ctx.Err()
	}
	return &snap, nil
}

// showDomains renders a report, unless a domain was named that is not in it.
func (o reportOptions) showDomains(env Env, r report.Report) error {
	if lost := layout.Missing(r, o.layout); len(lost) > 0 {
		return &exitError{
			exitFailed, fmt.Errorf("no domain is called %q", lost[0]), []string{"domains are named by name, number or uuid: see xtm report"},
		}
	}
	return o.show(env, r)
}

// show renders one report.
func (o reportOptions) show(env Env, r report.Report) error {
	switch o.format {
	case "json":
		return render.JSON(env.Stdout, layout.Filter(r, o.layout), o.every == 0)
	case "csv":
		return render.CSV(env.Stdout, layout.CSV(r, o.layout))
	case "markdown":
		return render.Markdown(env.Stdout, layout.Document(r, o.layout))
	case "html":
		return html.Write(env.Stdout, r, o.charts, o.layout)
	default:
		page := env.page()
		page.Wide = o.layout.Wide
		return render.Text(env.Stdout, layout.Document(r, o.layout), page)
	}
}

// outcome turns what was seen into an exit code.
func (o reportOptions) outcome(r report.Report) error {
	if o.require && r.Tmem.Answer != xen.TmemOn {
		return &exitError{
			code: exitNotSupported, err: fmt.Errorf("no tmem on this host: %s: %w", r.Tmem.Evidence, cause.ErrNotSupported),
			hints: []string{r.Tmem.Advice},
		}
	}
	if o.check && finding.Worst(r.Findings).Problem() {
		return &exitError{code: exitProblems}
	}
	return nil
}

// explainNoSnapshot adds what to do when nothing could be read.
func explainNoSnapshot(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	hints := demoHints()
	if cause.Of(err) == cause.NeedsRoot {
		return &exitError{exitNeedsRoot, err, append([]string{"run it as root in Dom0: sudo xtm report"}, hints...)}
	}
	return &exitError{exitCode(err), err, hints}
}

func demoHints() []string {
	return []string{"a recorded host: xtm report --demo; a capture or a saved text: xtm report --source FILE"}
}

// sleep waits, and is false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
