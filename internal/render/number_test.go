package render

import (
	"testing"
	"time"

	"xtm/internal/units"
)

func TestCellText(t *testing.T) {
	for _, c := range []struct {
		cell Cell
		unit Unit
		wide bool
		text string
		raw  string
	}{
		{Cell{}, KiB, false, "–", ""},
		{Str("web1"), "", false, "web1", "web1"},
		{Int(0), "", false, "0", "0"},
		{Int(1872108), "", false, "1,872,108", "1872108"},
		{Int(-1234), "", false, "-1,234", "-1234"},
		{Real(2434.14, 1), "", false, "2,434.1", "2434.14"},
		{Real(-0.01, 1), "", false, "0.0", "-0.01"},
		{Real(-1234.5, 1), "", false, "-1,234.5", "-1234.5"},
		{Size(376892), KiB, false, "376,892", "376892"},
		{Size(376892), MiB, false, "368.1", "376892"},
		{Size(376892), GiB, false, "0.36", "376892"},
		{Size(376892), Pages, false, "94,223", "376892"},
		{Size(0), MiB, false, "0.0", "0"},
		{Size(4), MiB, false, "<0.1", "4"},
		{Size(4), GiB, false, "<0.01", "4"},
		{Size(-2048), MiB, false, "-2.0", "-2048"},
		{Share(0.18116625), Percent, true, "18.1", "0.18116625"},
		{ShareOf(0.5, 1000, 2000), Percent, false, "50.0", "0.5"},
		{ShareOf(0.5, 1000, 2000), Percent, true, "50.0 (1,000/2,000)", "0.5"},
		{Share(0), Percent, false, "0.0", "0"},
		{Share(0.0001), Percent, false, "<0.1", "0.0001"},
		{Share(0.9999), Percent, false, ">99.9", "0.9999"},
		{Share(1), Percent, false, "100.0", "1"},
		{Span(90 * time.Second), "", false, "1 min 30 s", "90"},
		{Span(1500 * time.Millisecond), "", false, "1.5 s", "1.5"},
	} {
		if got := c.cell.text(c.unit, c.wide); got != c.text {
			t.Errorf("%+v in %s: text %q, want %q", c.cell, c.unit, got, c.text)
		}
		if got := c.cell.raw(); got != c.raw {
			t.Errorf("%+v: raw %q, want %q", c.cell, got, c.raw)
		}
	}
}

func TestUnitFormat(t *testing.T) {
	for unit, want := range map[Unit]string{KiB: "1,463,296 KiB", MiB: "1,429.0 MiB", GiB: "1.40 GiB", Pages: "365,824 pages"} {
		if got := unit.Format(units.KiB(1463296)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0 ms": 0, "450 ms": 450 * time.Millisecond, "1 s": 999600 * time.Microsecond, "3.2 s": 3210 * time.Millisecond,
		"10 s": 10 * time.Second, "1 min": 59990 * time.Millisecond, "5 min 3 s": 303 * time.Second,
		"1 h": 59*time.Minute + 59900*time.Millisecond, "3 h 4 min": 3*time.Hour + 4*time.Minute,
		"1 d": 24*time.Hour - time.Second, "6 d 3 h": 147 * time.Hour, "-2 s": -2 * time.Second,
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
