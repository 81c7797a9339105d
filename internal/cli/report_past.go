package cli

import (
	"context"
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"xtm/internal/cause"
	"xtm/report"
	"xtm/report/history"
	"xtm/report/html"
	"xtm/xen"
)

// pastOf reads the flags of the history.
func (o *reportOptions) pastOf(c *cli.Context, now func() time.Time) (err error) {
	since, until := c.String("since"), c.String("until")
	switch {
	case since == "" && until != "":
		return &usageError{"--until wants --since", nil}
	case since == "" && !o.record && o.history != "" && o.format != "html":
		return &usageError{"--history is where --record writes, and where --since and a page read", nil}
	case since == "":
		return nil
	}
	for _, other := range []string{"record", "source", "demo", "interval", "against", "every"} {
		if c.IsSet(other) {
			return &usageError{"--since and --" + other + " exclude each other", []string{"--since reports on the history, not on a host"}}
		}
	}
	o.past, err = parseSpan(since, until, now())
	return err
}

// runPast reports on a range of the history.
func (o reportOptions) runPast(ctx context.Context, env Env) error {
	var code error
	err := withHistory(ctx, env, o.history, true, func(db *history.DB) error {
		r, err := db.Report(ctx, o.past.from, o.past.to, o.rules)
		if err != nil {
			return err
		}
		code = o.outcome(r)
		if o.format == "html" {
			if o.charts, err = o.chartsOf(ctx, db, o.past); err != nil {
				return err
			}
		}
		return o.showDomains(env, r)
	})
	if err != nil {
		return err
	}
	return code
}

// chartsOf are the charts of a range.
func (o reportOptions) chartsOf(ctx context.Context, db *history.DB, s span) ([]html.Chart, error) {
	r, err := db.Range(ctx, history.Query{From: s.from, To: s.to, Domains: o.layout.Domains, Points: 300})
	return html.Charts(r), err
}

// lately are the charts of the day before a live report, where there is a
// history. That there is none is no failure.
func (o reportOptions) lately(ctx context.Context, env Env, r report.Report) (charts []html.Chart) {
	if r.Recorded != "" {
		return nil
	}
	err := withHistory(ctx, env, o.history, true, func(db *history.DB) (err error) {
		charts, err = o.chartsOf(ctx, db, span{r.End.Add(-24 * time.Hour), r.End})
		return err
	})
	if err != nil && cause.Of(err) != cause.NoData {
		say(env, "the page has no charts: "+err.Error())
	}
	return charts
}

// recorder puts snapshots into the history. What goes wrong there does not stop
// the reports: it is said once, until it works again.
type recorder struct {
	env Env
	reportOptions
	db      *history.DB
	failure error
}

// add records one snapshot where that was asked for.
func (k *recorder) add(ctx context.Context, s xen.Snapshot) {
	if !k.record {
		return
	}
	err := k.append(ctx, s)
	switch {
	case errors.Is(err, history.ErrRecorded):
		say(k.env, err.Error())
		err = nil
	case err != nil && k.failure == nil && k.every > 0:
		say(k.env, "history stopped, the reports go on: "+err.Error())
	case err == nil && k.failure != nil:
		say(k.env, "history goes on")
	}
	k.failure = err
	if err != nil && k.every == 0 {
		k.failure = stoppedError{err}
	}
}

func (k *recorder) append(ctx context.Context, s xen.Snapshot) (err error) {
	if k.db == nil {
		if k.db, err = openHistory(ctx, k.env, k.history, false); err != nil {
			k.db = nil
			return err
		}
	}
	return explainHistory(k.db.Append(ctx, s))
}

func (k *recorder) close() {
	if k.db == nil {
		return
	}
	if err := k.db.Close(); err != nil {
		say(k.env, err.Error())
	}
}

// stoppedError says that the report is whole and the history is not.
type stoppedError struct{ error }

func (e stoppedError) Error() string { return "history stopped: " + e.error.Error() }
func (e stoppedError) Unwrap() error { return e.error }
