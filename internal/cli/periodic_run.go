package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/render"
	"xtm/periodic"
	"xtm/report"
	"xtm/report/layout"
	"xtm/report/summary"
	"xtm/xen"
)

func periodicRun(env Env) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "report once, as the timer or the cron job does", ArgsUsage: noArgument,
		Flags: append(deliveryFlags(),
			&cli.StringFlag{Name: "source", Aliases: []string{"from"}, Value: "auto", Usage: "as in xtm report", TakesFile: true},
			&cli.StringFlag{Name: "thresholds", Usage: "TOML `FILE` that replaces limits of the checks", TakesFile: true},
		),
		Description: `It prints five lines and remembers what it saw, for the next run to compare with. It ends with 0
on a host without tmem, too, and with 4 where Xen does not run.`,
		Action: func(c *cli.Context) error {
			o := periodic.Options{Every: periodic.DefaultEvery, MailTo: c.StringSlice("mail-to"), Out: c.String("out"), Keep: c.Int("keep")}
			if err := o.Check(); err != nil {
				return &usageError{msg: err.Error()}
			}
			rules, err := thresholdsOf(c.String("thresholds"))
			if err != nil {
				return err
			}
			return runPeriodic(c.Context, env, o, c.String("source"), rules)
		},
	}
}

// runPeriodic reads, compares, and delivers as far as it can: a full disk does
// not keep the mail.
func runPeriodic(ctx context.Context, env Env, o periodic.Options, name string, rules report.Thresholds) error {
	src, err := openSource(env, name)
	if errors.Is(err, cause.ErrNotSupported) {
		// No error that cron would mail each time.
		if _, err := fmt.Fprintln(env.Stdout, "Nothing to report:", render.Escape(err.Error())); err != nil {
			return err
		}
		return &exitError{code: exitNotSupported}
	}
	if err != nil {
		return err
	}
	cur, err := src.Snapshot(ctx)
	if err != nil {
		return explainNoSnapshot(err)
	}
	var failed []error
	root, live := env.Files.(hostfs.Root)
	var prev *xen.Snapshot
	if live {
		if prev, err = periodic.Last(root); err != nil {
			failed = append(failed, err)
		}
	}
	r, before := compare(prev, cur, rules)
	lines, text, data, err := renderPeriodic(before, r)
	if err != nil {
		return err
	}
	if _, err := env.Stdout.Write(lines); err != nil {
		return err
	}
	switch {
	case !live && o.Out != "":
		failed = append(failed, fmt.Errorf("keep a report: this machine is recorded: %w", cause.ErrNotSupported))
	case live:
		if cur.Recorded == "" {
			failed = append(failed, periodic.Remember(root, cur))
		}
		if o.Out != "" {
			failed = append(failed, periodic.Keep(root, o.Out, reportTime(env, r), o.Keep, text, data))
		}
	}
	if len(o.MailTo) > 0 {
		message, err := periodic.Message(o.MailTo, render.Escape(summary.Of(before, r).Subject), env.Now(), text)
		if err == nil {
			err = periodic.Send(ctx, env.Run, o.MailTo, message)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// compare computes the report, and the one of the run before; nil for the first.
func compare(prev *xen.Snapshot, cur xen.Snapshot, rules report.Thresholds) (now report.Report, before *report.Report) {
	if prev != nil {
		before = new(report.Compute(nil, *prev, rules))
	}
	return report.Compute(prev, cur, rules), before
}

// renderPeriodic writes the five lines, the whole text and the JSON.
func renderPeriodic(before *report.Report, r report.Report) (lines, text, data []byte, err error) {
	var b, all, js bytes.Buffer
	for _, line := range summary.Of(before, r).Lines {
		b.WriteString(render.Escape(line) + "\n")
	}
	all.Write(b.Bytes())
	all.WriteString("\n")
	if err := render.Text(&all, layout.Document(r, layout.Options{Units: "auto"}), render.Options{}); err != nil {
		return nil, nil, nil, err
	}
	if err := render.JSON(&js, layout.Filter(r, layout.Options{}), true); err != nil {
		return nil, nil, nil, err
	}
	return b.Bytes(), all.Bytes(), js.Bytes(), nil
}

// reportTime is when the host was read.
func reportTime(env Env, r report.Report) time.Time {
	if r.End.IsZero() {
		return env.Now()
	}
	return r.End
}
