package cli

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/config"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/report"
	"xtm/report/history"
	"xtm/tune"
	"xtm/xen"
)

func tuneAdviseCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "advise",
		Usage:     "say per domain what to change, what it should bring, and the figures that say so",
		ArgsUsage: noArgument,
		Description: `It measures over --interval, or takes what the history holds of a time. With --apply it shows
what it can do itself, asks, does it, and keeps the figures: xtm tune verify compares later.
What is for a guest or for its configuration is left to you.

   xtm tune advise --interval 60s
   xtm tune advise --past 24h                            from the history
   xtm tune advise --source b.tar.gz --against a.tar.gz  two captures
   xtm tune advise --interval 60s --apply`,
		Flags: append(measureFlags(),
			&cli.StringFlag{Name: "source", Usage: "advise on this `CAPTURE`", TakesFile: true},
			&cli.StringFlag{Name: "against", Usage: "with --source: an earlier `CAPTURE`", TakesFile: true},
			&cli.BoolFlag{Name: "apply", Usage: "do what xtm can do, after a question"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "with --apply: do not ask"},
			dryRunFlag(), viaFlag(), formatFlag("table or json"),
		),
		Action: func(c *cli.Context) error { return advise(c, env) },
	}
}

func measureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "interval", Value: time.Minute, Usage: "how long to measure"},
		&cli.DurationFlag{Name: "past", Usage: "instead: what the history holds of this time, such as 24h"},
		&cli.StringFlag{Name: "history", Usage: "`FILE` of the history, instead of the configured one", TakesFile: true},
	}
}

// advised is the JSON of advise.
type adviceGiven struct {
	Schema   int           `json:"schema"`
	From     string        `json:"from"`
	Advice   []tune.Advice `json:"advice"`
	Done     []tune.Call   `json:"done,omitempty"`
	Undo     string        `json:"undo,omitempty"`
	Measured time.Duration `json:"interval_ns"`
}

func advise(c *cli.Context, env Env) error {
	switch {
	case c.IsSet("source") != c.IsSet("against"):
		return &usageError{msg: "--source and --against go together: advice needs two moments"}
	case c.IsSet("source") && (c.Bool("apply") || c.IsSet("interval") || c.IsSet("past")):
		return &usageError{msg: "a recorded host does not change: --source goes without --apply, --interval and --past"}
	}
	var t *tuneRun
	var err error
	if c.IsSet("source") {
		t = &tuneRun{env: env, name: "tune advise", format: c.String("format")}
		if err := knownFormat(c); err != nil {
			return err
		}
	} else if t, err = openTune(c, env); err != nil {
		return explainTune(err)
	}
	e, err := t.measure(c)
	if err != nil {
		return err
	}
	out := adviceGiven{Schema: 1, From: e.Report.Source, Advice: append([]tune.Advice{}, tune.Advise(e)...), Measured: e.Report.Interval.Or(0)}
	if t.format != "json" {
		if err := t.showAdvice(out); err != nil {
			return err
		}
	}
	if c.Bool("apply") && len(out.Advice) > 0 {
		err = t.applyAdvice(c.Context, &out, c.Bool("yes"))
	}
	if t.format == "json" {
		if errOut := render.JSON(env.Stdout, out, true); errOut != nil {
			return errOut
		}
	}
	return explainTune(err)
}

// measure reads the host at two moments, or asks the history.
func (t *tuneRun) measure(c *cli.Context) (tune.Evidence, error) {
	ctx := c.Context
	rules := report.DefaultThresholds()
	switch {
	case c.IsSet("source"):
		before, err := snapshotOf(ctx, t.env, c.String("against"))
		if err != nil {
			return tune.Evidence{}, err
		}
		now, err := snapshotOf(ctx, t.env, c.String("source"))
		if err != nil {
			return tune.Evidence{}, err
		}
		return between(before, now, rules), nil
	case c.IsSet("past"):
		r, err := t.past(ctx, c.String("history"), c.Duration("past"), rules)
		return tune.Evidence{Report: r}, err
	}
	long := c.Duration("interval")
	if long <= 0 {
		return tune.Evidence{}, &usageError{msg: "--interval wants a time above zero, such as 60s"}
	}
	before := t.seen.Snapshot
	if !sleep(ctx, long) {
		return tune.Evidence{}, ctx.Err()
	}
	now, err := t.keeper.Source.Snapshot(ctx)
	if err != nil {
		return tune.Evidence{}, err
	}
	return between(before, now, rules), nil
}

// past is the report over what the history holds.
func (t *tuneRun) past(ctx context.Context, path string, long time.Duration, rules report.Thresholds) (r report.Report, err error) {
	if long <= 0 {
		return r, &usageError{msg: "--past wants a time above zero, such as 24h"}
	}
	if path == "" {
		c, err := config.Read(t.keeper.Root)
		if err != nil {
			return r, err
		}
		if path, err = t.keeper.Root.Path(c.History.Path); err != nil {
			return r, err
		}
	}
	db, err := history.Open(ctx, path, history.Options{ReadOnly: true, Now: t.env.Now})
	if err != nil {
		return r, err
	}
	defer func() {
		if errClose := db.Close(); err == nil {
			err = errClose
		}
	}()
	now := t.env.Now()
	return db.Report(ctx, now.Add(-long), now, rules)
}

func between(before, now xen.Snapshot, rules report.Thresholds) tune.Evidence {
	return tune.Evidence{Report: report.Compute(&before, now, rules), Before: &before, Now: &now}
}

func snapshotOf(ctx context.Context, env Env, path string) (xen.Snapshot, error) {
	src, err := openSource(env, path)
	if err != nil {
		return xen.Snapshot{}, err
	}
	return src.Snapshot(ctx)
}

func (t *tuneRun) showAdvice(out adviceGiven) error {
	if len(out.Advice) == 0 {
		return t.print("Nothing is to be changed, by what was seen in %s.", out.Measured.Round(time.Second))
	}
	var doc render.Document
	for _, a := range out.Advice {
		doc = append(
			doc, render.Heading{Level: 2, Text: a.Domain.String() + ": " + a.What},
			render.Fields{{Label: "seen", Text: a.Seen}, {Label: "should bring", Text: a.Brings}, {Label: "sure", Text: string(a.Sure)}, {Label: "will show", Text: a.Showing()}},
		)
		var lines render.Bullets
		for _, call := range a.Calls {
			lines = append(lines, "xtm can do it: "+call.String())
		}
		for _, command := range a.Commands {
			lines = append(lines, command)
		}
		doc = append(doc, lines)
	}
	return render.Text(t.env.Stdout, doc, render.Options{Width: t.env.Width, Color: t.env.Terminal && !t.env.NoColor})
}

// applyAdvice does what xtm can do, and keeps the figures.
func (t *tuneRun) applyAdvice(ctx context.Context, out *adviceGiven, yes bool) error {
	plan := tune.PlanOf(out.Advice)
	if t.dryRun {
		t.say("Nothing was changed: --dry-run.")
		return nil
	}
	if len(plan.Calls) > 0 {
		d := dialog{env: t.env, yes: yes, in: bufio.NewReader(noInput(t.env.Stdin))}
		if err := d.agree(ctx, fmt.Sprintf("Make these %d changes", len(plan.Calls)), "apply"); err != nil {
			return err
		}
	}
	res, err := t.keeper.Apply(ctx, plan)
	out.Done, out.Undo = res.Done, res.Undo
	if err != nil {
		return err
	}
	kept := tune.Applied{At: t.env.Now().UTC(), Interval: out.Measured, Advice: out.Advice, Undo: out.Undo}
	if err := kept.Keep(t.keeper.Root); err != nil {
		return err
	}
	if out.Undo != "" {
		t.say("Set and read back. Undo it with: xtm tune apply %s", out.Undo)
	} else {
		t.say("There was nothing that xtm can do itself; the figures are kept.")
	}
	t.say("When what is left to you is done too and the guests have run a while: xtm tune verify")
	return nil
}

func tuneVerifyCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "compare with the figures before advice was applied, and say whether it helped",
		ArgsUsage: noArgument,
		Description: `It measures as advise does. Ends with 3 where something got worse.

   xtm tune verify --interval 60s`,
		Flags: append(measureFlags(), viaFlag(), formatFlag("table or json")),
		Action: func(c *cli.Context) error {
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			return t.verify(c)
		},
	}
}

// verified is the JSON of verify.
type verified struct {
	Schema  int             `json:"schema"`
	Applied time.Time       `json:"applied"`
	Undo    string          `json:"undo,omitempty"`
	Results []tune.Verified `json:"results"`
}

func (t *tuneRun) verify(c *cli.Context) error {
	kept, err := tune.LastApplied(hostfs.Files(t.keeper.Root))
	if err != nil {
		return &exitError{exitFailed, err, []string{"xtm tune advise --apply keeps the figures to compare with"}}
	}
	if !kept.At.Before(t.env.Now()) {
		return fmt.Errorf("the advice of %s was not applied yet: %w", kept.At.Format(time.RFC3339), cause.ErrNoData)
	}
	e, err := t.measure(c)
	if err != nil {
		return err
	}
	out := verified{Schema: 1, Applied: kept.At, Undo: kept.Undo, Results: tune.Verify(kept, e)}
	if t.format == "json" {
		err = render.JSON(t.env.Stdout, out, true)
	} else {
		err = t.showVerified(out)
	}
	if err != nil {
		return err
	}
	for _, v := range out.Results {
		if v.Helped == tune.DidHarm {
			if out.Undo != "" && t.format != "json" {
				t.say("Undo it with: xtm tune apply %s", out.Undo)
			}
			return &exitError{code: exitProblems}
		}
	}
	return nil
}

func (t *tuneRun) showVerified(out verified) error {
	for _, v := range out.Results {
		if err := t.print("%s", v.String()); err != nil {
			return err
		}
	}
	return nil
}
