package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/capture/demo"
	"xtm/report"
	"xtm/top"
)

func topCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "top",
		Usage:     "watch the domains: what they have, what tmem saves them, and what is wrong",
		ArgsUsage: noArgument,
		Description: `Run it as root in Dom0, in a terminal of 80×24 or more. The first reading shows ratios since each
domain's first tmem call, every later one those of the time in between. Processors and memory are as xentop
shows them; networks and disks are not shown.

   xtm top                             the host, every five seconds
   xtm top --delay 30s                 over a slow line
   xtm top --batch --iterations 10     lines for a file
   xtm top --source a.tar.gz --source b.tar.gz   captures, one after the other

Ends with 0 on q, SIGINT and SIGTERM.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name: "source", Aliases: []string{"from"}, Usage: "auto (the default), hypercall, xl, libvirt, or captures to replay", TakesFile: true,
			},
			&cli.BoolFlag{Name: "demo", Usage: "a recorded host that comes with xtm"},
			&cli.DurationFlag{Name: "delay", Value: 5 * time.Second, Usage: "time between two readings"},
			&cli.BoolFlag{Name: "batch", Usage: "write lines instead of a screen"},
			&cli.IntFlag{Name: "iterations", Usage: "with --batch: end after so many readings; 0 is never"},
			&cli.StringFlag{Name: "sort", Value: "current", Usage: "order of the domains: " + strings.Join(top.SortKeys(), ", ")},
		},
		Action: func(c *cli.Context) error {
			o := topOptions{
				sources: c.StringSlice("source"), demo: c.Bool("demo"), batch: c.Bool("batch"),
				delay: c.Duration("delay"), times: c.Int("iterations"), sort: c.String("sort"),
			}
			if err := o.check(env, c.IsSet("iterations")); err != nil {
				return err
			}
			return o.run(c.Context, env)
		},
	}
}

type topOptions struct {
	sources     []string
	demo, batch bool
	delay       time.Duration
	times       int
	sort        string
}

func (o topOptions) check(env Env, timesSet bool) error {
	switch {
	case o.demo && len(o.sources) > 0:
		return &usageError{msg: "--demo and --source exclude each other"}
	case o.delay <= 0:
		return &usageError{msg: "--delay wants a time above zero, such as 5s"}
	case timesSet && (!o.batch || o.times < 0):
		return &usageError{msg: "--iterations is a count for --batch"}
	case !slices.Contains(top.SortKeys(), o.sort):
		return &usageError{fmt.Sprintf("domains cannot be sorted by %q", o.sort), []string{"keys are: " + strings.Join(top.SortKeys(), ", ")}}
	case !o.batch && (!env.Terminal || !env.Interactive):
		return &usageError{"top wants a terminal", []string{"lines for a file or a pipe: xtm top --batch"}}
	}
	return checkReplay(o.sources)
}

func (o topOptions) run(ctx context.Context, env Env) error {
	src, err := o.open(env)
	if err != nil {
		return err
	}
	m := top.New(report.DefaultThresholds(), o.delay)
	m.Sort(o.sort)
	if o.batch {
		err = top.Batch(ctx, m, src, env.Stdout, o.times)
	} else {
		err = top.Live(ctx, m, src, env.Stdin, env.Stdout, env.Environ)
	}
	if err != nil {
		return explainNoSnapshot(err)
	}
	return nil
}

func (o topOptions) open(env Env) (top.Source, error) {
	if o.demo {
		first, err := demo.Open()
		if err != nil {
			return nil, fmt.Errorf("open the recorded host: %w", err)
		}
		second, err := demo.Later()
		if err != nil {
			return nil, fmt.Errorf("open the recorded host: %w", err)
		}
		return &replay{left: []source{captureSource{first}, captureSource{second}}}, nil
	}
	if len(o.sources) == 0 || isLive(o.sources[0]) {
		return openSource(env, append(o.sources, "auto")[0])
	}
	return openReplay(env, o.sources)
}
