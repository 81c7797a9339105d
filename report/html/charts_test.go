package html_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"xtm/capture"
	"xtm/capture/demo"
	"xtm/report/history"
	"xtm/report/html"
	"xtm/xen"
	"xtm/xen/xl"
)

// recorded is a history of the recorded host: two moments, then the second one
// again after two hours without a reading and a minute later.
func recorded(t *testing.T) history.Range {
	t.Helper()
	db, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "history.db"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var snaps []xen.Snapshot
	for _, open := range []func() (*capture.Capture, error){demo.Open, demo.Later} {
		c, err := open()
		if err != nil {
			t.Fatal(err)
		}
		seams := c.Seams()
		s, err := xl.New(seams.Run, seams.Files).Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		snaps = append(snaps, s)
	}
	for _, d := range []time.Duration{2 * time.Hour, 2*time.Hour + time.Minute} {
		s := snaps[1]
		s.Begin, s.End, s.ListedAt = s.Begin.Add(d), s.End.Add(d), s.ListedAt.Add(d)
		snaps = append(snaps, s)
	}
	for _, s := range snaps {
		if err := db.Append(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	r, err := db.Range(t.Context(), history.Query{From: snaps[0].Begin.Add(-time.Hour), To: snaps[3].End.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func chartNamed(t *testing.T, list []html.Chart, title string) html.Chart {
	t.Helper()
	for _, c := range list {
		if c.Title == title {
			return c
		}
	}
	t.Fatalf("no chart %q", title)
	return html.Chart{}
}

// TestChartsAddUp holds that the stack of memory is the physical total, that a
// time without readings is a gap, and that figures are those of the listing.
func TestChartsAddUp(t *testing.T) {
	r := recorded(t)
	list := html.Charts(r)
	memory := chartNamed(t, list, "Host memory")
	if len(memory.Times) != 5 {
		t.Fatalf("%d times, want four readings and a gap", len(memory.Times))
	}
	for i := range memory.Times {
		sum := 0.0
		for _, s := range memory.Series {
			sum += s.Values[i]
		}
		if i == 2 {
			if !math.IsNaN(sum) {
				t.Errorf("the gap has %v MiB", sum)
			}
		} else if math.Abs(sum-2751488.0/1024) > 0.5 {
			t.Errorf("at %s the parts have %.1f MiB", memory.Times[i], sum)
		}
	}
	hits := chartNamed(t, list, "Hit rate of ephemeral pools")
	for _, s := range hits.Series {
		if s.Name == "cache1" && math.Abs(s.Values[1]-73.7) > 0.1 { // as xtm top has it
			t.Errorf("cache1 has %v", s.Values)
		}
	}
	if avoided := chartNamed(t, list, "Reads and writes avoided"); math.Abs(avoided.Series[0].Values[1]-8159) > 500 { // by the time between listings; here, between snapshots
		t.Errorf("disk reads avoided: %v", avoided.Series[0].Values)
	}
}

// TestChartsOfNothing has no picture to draw.
func TestChartsOfNothing(t *testing.T) {
	if list := html.Charts(history.Range{}); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	r := history.Range{Host: []history.HostPoint{{Until: end}}}
	if list := html.Charts(r); len(list) != 0 {
		t.Errorf("a host that tells nothing: %+v", list)
	}
}
