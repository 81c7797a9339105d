package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/render"
	"xtm/tune"
)

func tuneSetCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "set weight and compression of domains",
		ArgsUsage: "DOMAIN... weight=NUMBER compress=on|off",
		Description: `Each domain is set by itself: for all at once Xen would reset what is not named. What was set
before is written to an undo file, which xtm tune apply reads. Settings end with their domain.

   xtm tune set web1 weight=1
   xtm tune set --all compress=off
   xtm tune set --dry-run web1 db1 compress=on`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "every tmem client"}, dryRunFlag(), viaFlag(), formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			var names, settings []string
			for _, a := range c.Args().Slice() {
				if strings.Contains(a, "=") {
					settings = append(settings, a)
				} else {
					names = append(names, a)
				}
			}
			want, err := tune.ParseChange(settings)
			if err != nil {
				return &usageError{msg: err.Error()}
			}
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			domains, err := t.domains(names, c.Bool("all"))
			if err != nil {
				return err
			}
			return t.apply(c.Context, t.seen.Set(domains, want, "asked for on the command line"))
		},
	}
}

func tuneApplyCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "set what a file wants, of the domains that are there",
		ArgsUsage: "FILE",
		Description: `The file is TOML: sections [[domain]] with name (or a pattern such as "web*") or uuid, and weight,
compress or both; a later section wins. Settings end with their domain: with --every they are
given to it again when it is back. An undo file is such a file.

   xtm tune apply weights.toml
   xtm tune apply --every 30s weights.toml`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "every", Usage: "look again after this time, until interrupted"}, dryRunFlag(), viaFlag(), formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			every := c.Duration("every")
			switch {
			case c.NArg() != 1:
				return &usageError{msg: "tune apply wants one file"}
			case c.IsSet("every") && every <= 0:
				return &usageError{msg: "--every wants a time above zero, such as 30s"}
			}
			text, err := readFile(c.Args().First())
			if err != nil {
				return err
			}
			entries, err := tune.ParseSettings(text)
			if err != nil {
				return &usageError{msg: c.Args().First() + ": " + err.Error()}
			}
			t, err := openTune(c, env)
			if err != nil {
				return explainTune(err)
			}
			return t.applyFile(c.Context, entries, c.Args().First(), every)
		},
	}
}

// applyFile sets what the file wants, once or until interrupted. Notes are shown
// the first time only.
func (t *tuneRun) applyFile(ctx context.Context, entries []tune.Entry, name string, every time.Duration) error {
	for first := true; ; first = false {
		plan := t.seen.SetByFile(entries, name+" says so")
		if !first {
			plan.Notes = nil
		}
		if first || len(plan.Calls) > 0 {
			if err := t.apply(ctx, plan); err != nil {
				return err
			}
		}
		if every == 0 || t.dryRun {
			return nil
		}
		if !sleep(ctx, every) {
			return nil
		}
		if err := t.look(ctx); err != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil
			}
			return explainTune(err)
		}
	}
}

// applied is the JSON of what changes settings.
type applied struct {
	Schema int       `json:"schema"`
	Way    string    `json:"way"`
	DryRun bool      `json:"dry_run,omitempty"`
	Plan   tune.Plan `json:"plan"`
	tune.Result
}

// apply shows a plan, carries it out and says how to undo it.
func (t *tuneRun) apply(ctx context.Context, plan tune.Plan) error {
	out := applied{Schema: 1, Way: t.keeper.Way, DryRun: t.dryRun, Plan: plan}
	if out.Plan.Calls == nil {
		out.Plan.Calls = []tune.Call{}
	}
	out.Done = []tune.Call{}
	if t.format != "json" {
		if err := t.notes(plan.Notes); err != nil {
			return err
		}
		for _, c := range plan.Calls {
			if _, err := fmt.Fprintln(t.env.Stdout, render.Escape(c.String())); err != nil {
				return err
			}
		}
	}
	var err error
	if !t.dryRun && len(plan.Calls) > 0 {
		out.Result, err = t.keeper.Apply(ctx, plan)
	}
	if t.format == "json" {
		if errOut := render.JSON(t.env.Stdout, out, true); errOut != nil {
			return errOut
		}
	} else {
		t.outcome(out)
	}
	return explainTune(err)
}

// outcome says how it ended.
func (t *tuneRun) outcome(out applied) {
	for _, c := range out.Gone {
		t.say("%s is no client of tmem any more: %s was not done", c.Domain, c.Op)
	}
	switch {
	case len(out.Plan.Calls) == 0:
		t.say("Nothing to change.")
	case t.dryRun:
		t.say("Nothing was changed: --dry-run.")
	case out.Undo != "":
		t.say("Set and read back, by %s. Undo it with: xtm tune apply %s", out.Way, out.Undo)
	}
}
