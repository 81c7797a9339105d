package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/config"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/internal/units"
	"xtm/report/history"
)

func historyCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "history",
		Usage: "look after the file that xtm report --record writes",
		Description: `What is kept, and for how long, is in ` + config.Path + `. What history says of the host is
shown by xtm report --since and xtm report trend.`,
		Subcommands: []*cli.Command{
			historyInfoCommand(env),
			historyExportCommand(env),
			historyVacuumCommand(env),
		},
	}
}

func historyFlag() cli.Flag {
	return &cli.StringFlag{Name: "history", Usage: "`FILE` of the history, instead of the configured one", TakesFile: true}
}

func rangeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "since", Usage: "from this `TIME` on: 24h, 7d, 2026-11-22 or 2026-11-22T13:00:00Z"},
		&cli.StringFlag{Name: "until", Usage: "up to this `TIME`, in the same forms (default: now)"},
	}
}

// openHistory opens the history that the flag names, else the configured one.
func openHistory(ctx context.Context, env Env, flag string, readOnly bool) (*history.DB, error) {
	c, path := config.Default(), flag
	if root, ok := env.Files.(hostfs.Root); ok {
		var err error
		if c, err = config.Read(root); err != nil {
			return nil, err
		}
		if path == "" {
			if path, err = root.Path(c.History.Path); err != nil {
				return nil, err
			}
		}
	}
	if path == "" {
		return nil, &usageError{"a recorded machine has no history of its own", []string{"name a file: --history FILE"}}
	}
	db, err := history.Open(ctx, path, history.Options{
		ReadOnly: readOnly, Now: env.Now,
		Limits: history.Limits{
			Snapshots: c.History.Snapshots.Duration, Hours: c.History.Hours.Duration, Size: c.History.MaxSize.Bytes,
		},
		Say: func(s string) { say(env, s) },
	})
	return db, explainHistory(err)
}

// say tells the user something beside the data.
func say(env Env, s string) {
	fmt.Fprintln(env.Stderr, "note: "+render.Escape(s)) //nolint:errcheck // there is nowhere left to say so
}

// explainHistory adds what to do.
func explainHistory(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, history.ErrFull):
		return &exitError{exitFailed, err, []string{"make room, or set a smaller max_size in " + config.Path + " and run: xtm history vacuum"}}
	case cause.Of(err) == cause.NeedsRoot:
		return &exitError{exitNeedsRoot, err, []string{"run it as root, or keep a history of your own: --history FILE"}}
	case cause.Of(err) == cause.NoData:
		return &exitError{exitFailed, err, []string{"xtm report --record writes history; which there is: xtm history info"}}
	}
	return err
}

// span is a range of time that the user names.
type span struct{ from, to time.Time }

// parseSpan reads --since and --until. Without since it is all there is.
func parseSpan(since, until string, now time.Time) (span, error) {
	s := span{time.UnixMilli(0), now}
	var err error
	if since != "" {
		if s.from, err = parseTime(since, now); err != nil {
			return s, &usageError{"--since: " + err.Error(), nil}
		}
	}
	if until != "" {
		if s.to, err = parseTime(until, now); err != nil {
			return s, &usageError{"--until: " + err.Error(), nil}
		}
	}
	if !s.from.Before(s.to) {
		return s, &usageError{
			fmt.Sprintf("the range ends at %s, before it begins at %s", s.to.UTC().Format(time.RFC3339), s.from.UTC().Format(time.RFC3339)), nil,
		}
	}
	return s, nil
}

// parseTime reads a time, or how long ago it was.
func parseTime(s string, now time.Time) (time.Time, error) {
	if age, err := config.ParseAge(s); err == nil {
		return now.Add(-age.Duration), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 24h, 7d, 2026-11-22 or 2026-11-22T13:00:00Z (UTC)", s)
}

// withHistory opens the history, hands it over and closes it.
func withHistory(ctx context.Context, env Env, flag string, readOnly bool, f func(*history.DB) error) error {
	db, err := openHistory(ctx, env, flag, readOnly)
	if err != nil {
		return err
	}
	err = explainHistory(f(db))
	if errClose := db.Close(); err == nil {
		err = explainHistory(errClose)
	}
	return err
}

func historyInfoCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "info", Usage: "show what history holds and how large it is", ArgsUsage: noArgument,
		Flags: []cli.Flag{
			historyFlag(),
			&cli.BoolFlag{Name: "check", Usage: "read all of it; exit with 3 when something is damaged"},
			formatFlag("table or json"),
		},
		Action: func(c *cli.Context) error {
			if err := knownFormat(c); err != nil {
				return err
			}
			return withHistory(c.Context, env, c.String("history"), true, func(db *history.DB) error {
				return showInfo(c.Context, env, db, c.Bool("check"), c.String("format"))
			})
		},
	}
}

// checkedInfo is what history info --format json prints.
type checkedInfo struct {
	Schema int `json:"schema"`
	history.Info
	// Damage is null where nobody looked.
	Damage []string `json:"damage"`
}

func showInfo(ctx context.Context, env Env, db *history.DB, check bool, format string) error {
	info, err := db.Info(ctx)
	if err != nil {
		return err
	}
	out := checkedInfo{1, info, nil}
	if check {
		if out.Damage, err = db.Check(ctx); err != nil {
			return err
		}
		if out.Damage == nil {
			out.Damage = []string{}
		}
	}
	if format == "json" {
		err = render.JSON(env.Stdout, out, true)
	} else {
		err = render.Text(env.Stdout, infoDocument(out, check), render.Options{Width: env.Width})
	}
	if err == nil && len(out.Damage) > 0 {
		return &exitError{code: exitProblems}
	}
	return err
}

func infoDocument(i checkedInfo, checked bool) render.Document {
	when := func(t time.Time) string {
		if t.IsZero() {
			return "none"
		}
		return t.Format(time.RFC3339)
	}
	kib := func(b units.Bytes) string { return render.KiB.Format(units.KiB((b + 1023) / 1024)) }
	fields := render.Fields{
		{Label: "File", Text: i.Path},
		{Label: "Size", Text: kib(i.Size) + ", " + kib(i.Used) + " of it in use; journal " + kib(i.Journal)},
		{Label: "From", Text: when(i.First)},
		{Label: "To", Text: when(i.Last)},
		{Label: "Snapshots since", Text: when(i.Snapshots) + " (before that there are hours)"},
		{Label: "Snapshots", Text: units.Group(i.Recorded) + " went in; " + units.Group(i.Open) + " stand in the hour that is not closed"},
		{Label: "Closed hours", Text: units.Group(i.Hours)},
		{Label: "Domains", Text: units.Group(i.Domains) + ", made " + units.Group(i.Lives) + " times"},
	}
	doc := render.Document{render.Heading{Level: 1, Text: "xtm history"}, fields}
	switch {
	case !checked:
	case len(i.Damage) == 0:
		doc = append(doc, render.Paragraph("The whole file was read: it is sound."))
	default:
		doc = append(doc, render.Heading{Level: 2, Text: "Damage"}, render.Bullets(i.Damage))
	}
	return doc
}

func historyVacuumCommand(env Env) *cli.Command {
	return &cli.Command{
		Name: "vacuum", Usage: "apply the limits and give back what the file does not need", ArgsUsage: noArgument,
		Description: "The file is written anew, which takes as much room again while it lasts.",
		Flags:       []cli.Flag{historyFlag()},
		Action: func(c *cli.Context) error {
			return withHistory(c.Context, env, c.String("history"), false, func(db *history.DB) error {
				before, err := db.Info(c.Context)
				if err != nil {
					return err
				}
				if err := db.Vacuum(c.Context); err != nil {
					return err
				}
				after, err := db.Info(c.Context)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(env.Stdout, "%s: %s bytes before, %s now\n",
					render.Escape(after.Path), units.Group(int64(before.Size)), units.Group(int64(after.Size)))
				return err
			})
		},
	}
}
