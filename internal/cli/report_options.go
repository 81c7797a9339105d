package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/report"
	"xtm/report/html"
	"xtm/report/layout"
)

// reportOptions is the command line, understood.
type reportOptions struct {
	source, against string
	demo            bool
	interval, every time.Duration
	format          string
	layout          layout.Options
	rules           report.Thresholds
	check, require  bool
	// history is the file; past is the range to report on, of which there is
	// none where its end is zero.
	record  bool
	history string
	past    span
	// charts are what a page shows over time.
	charts []html.Chart
}

func reportOptionsOf(c *cli.Context, now func() time.Time) (reportOptions, error) {
	o := reportOptions{
		source: c.String("source"), against: c.String("against"), demo: c.Bool("demo"),
		interval: c.Duration("interval"), every: c.Duration("every"), format: c.String("format"),
		check: c.Bool("check"), require: c.Bool("require-tmem"),
		record: c.Bool("record"), history: c.String("history"),
		layout: layout.Options{
			Units: c.String("units"), Wide: c.Bool("wide"), Pools: c.Bool("pools"),
			Sort: c.String("sort"), Domains: c.StringSlice("domain"),
		},
	}
	if err := knownFormat(c); err != nil {
		return o, err
	}
	usage := func(msg string, hints ...string) (reportOptions, error) { return o, &usageError{msg, hints} }
	switch {
	case o.format == "html" && o.every > 0:
		return usage("--every writes one report after the other, and a page is one", "a page each hour: xtm periodic install --help")
	case c.IsSet("interval") && o.interval <= 0, c.IsSet("every") && o.every <= 0:
		return usage("--interval and --every want a time above zero, such as 10s or 5m")
	case o.demo && c.IsSet("source"):
		return usage("--demo and --source exclude each other")
	case o.interval > 0 && o.against != "":
		return usage("--interval and --against exclude each other", "--against compares with the earlier capture instead of waiting")
	case (o.demo || c.IsSet("source") && !slices.Contains(values("source"), o.source)) && (o.interval > 0 || o.every > 0):
		return usage("a recorded host does not change: --interval and --every need a live one",
			"to compare two captures: xtm report --source LATER --against EARLIER")
	}
	if err := o.pastOf(c, now); err != nil {
		return o, err
	}
	if err := o.layout.Check(); err != nil {
		return usage(err.Error())
	}
	var err error
	o.rules, err = thresholdsOf(c.String("thresholds"))
	return o, err
}

// thresholdsOf reads the limits of the checks from a file; "" is the default.
func thresholdsOf(file string) (report.Thresholds, error) {
	if file == "" {
		return report.DefaultThresholds(), nil
	}
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	rules, err := report.ParseThresholds(text)
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("%s: %s", file, err)}
	}
	return rules, nil
}
