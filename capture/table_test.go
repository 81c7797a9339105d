package capture

import (
	"strings"
	"testing"
)

func TestTablesAreChecked(t *testing.T) {
	const run = "001-a\t0\t2026-01-01T00:00:00Z\t1s\t[\"a\"]\t\t\n"
	for table, want := range map[string]string{
		"":             "run.tsv is empty",
		"stem\texit\n": "line 1",
		runHeader:      "the table is cut",
		runHeader + "\n" + strings.TrimSuffix(run, "\n"):                              "line 2: no end of line",
		runHeader + "\n" + run + run:                                                  `line 3: stem "001-a" stands twice`,
		runHeader + "\n" + strings.Replace(run, "001-a", "../a", 1):                   "plain name",
		runHeader + "\n" + strings.Replace(run, "001-a", ".a", 1):                     "plain name",
		runHeader + "\n" + strings.Replace(run, "\t0\t", "\tx\t", 1):                  "exit code",
		runHeader + "\n" + strings.Replace(run, "1s", "1", 1):                         "duration",
		runHeader + "\n" + strings.Replace(run, "2026", "26", 1):                      "start",
		runHeader + "\n" + strings.Replace(run, `["a"]`, `[]`, 1):                     "argv",
		runHeader + "\n" + strings.Replace(run, `["a"]`, `a`, 1):                      "argv",
		runHeader + "\n" + strings.Replace(run, "\t\t\n", "\n", 1):                    "5 fields",
		runHeader + "\n" + strings.Replace(run, "\t\t\n", "\ttimeout\tnot JSON\n", 1): "text",
	} {
		if _, err := parseRuns([]byte(table)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot %v, want %q", table, err, want)
		}
	}
	for row, want := range map[string]string{
		"x\tread\tok\t":                  "absolute",
		"/a/../b\tread\tok\t":            "absolute",
		"/a/\tread\tok\t":                "absolute",
		"\"/a\tread\tok\t":               "path",
		"/a\tread\tok\t\n/a\tread\tok\t": "twice",
		"/a\tlist\tok\tx":                "detail",
		"/a\tlink\tok\t[]":               "detail",
		"/a\texists\tok\t1":              "detail",
		"/a\tread\tENOENT\topen":         "text",
		"/a\tread\tfailed":               "3 fields",
	} {
		if _, err := parseLooks([]byte(rootHeader + "\n" + row + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot %v, want %q", row, err, want)
		}
	}
}

func FuzzParseRuns(f *testing.F) {
	e, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e["run.tsv"])
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := parseRuns(b)
		if err != nil {
			return
		}
		again, err := parseRuns(formatRuns(rows))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].stem != again[i].stem || Diff(&Capture{runs: []ran{rows[i].ran}}, &Capture{runs: []ran{again[i].ran}}) != "" {
				t.Fatalf("%+v was read again as %+v", rows[i], again[i])
			}
		}
	})
}

func FuzzParseLooks(f *testing.F) {
	e, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e["root.tsv"])
	f.Add([]byte(rootHeader + "\n/\t\t\t\n")) // a look in no way
	f.Fuzz(func(t *testing.T, b []byte) {
		looks, err := parseLooks(b)
		if err != nil {
			return
		}
		again, err := parseLooks(formatLooks(sortedLooks(looks), looks))
		if err != nil {
			t.Fatal(err)
		}
		if diff := Diff(&Capture{looks: looks}, &Capture{looks: again}); diff != "" {
			t.Fatal(diff)
		}
	})
}
