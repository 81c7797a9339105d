package summary_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"xtm/capture/importtest"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/report/summary"
	"xtm/xen"
	"xtm/xen/xl"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func snapshot(t *testing.T, phase string) xen.Snapshot {
	t.Helper()
	seams := importtest.Phase(t, phase).Seams()
	s, err := xl.New(seams.Run, seams.Files).Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRealHosts reads as a person would get it.
func TestRealHosts(t *testing.T) {
	loaded, late := snapshot(t, "xen-4.12/t1-load"), snapshot(t, "xen-4.12/t3-late")
	first := report.Compute(nil, loaded, nil)
	for _, tt := range []struct {
		name string
		prev *report.Report
		cur  report.Report
		want []string
	}{
		{"first", nil, first, []string{
			`xtm: xenhost: 1 problem`,
			`Host: xenhost (Xen 4.12.4): 5 guests, overcommit ratio 0.88, 20 MiB free and 646 MiB freeable of 2,687 MiB.`,
			`Changed: this is the first report; the next one compares with it.`,
			`tmem: since the host's boot: 368,640 disk reads avoided, 65,780 swap writes avoided, 51,212 swap reads avoided, 14,616 puts refused, 42,410 pages thrown out.`,
			`Problems: cache1 no-swap.`,
			`To do: cache1: has 2 ephemeral pools and no persistent one, so no swap area is active in it; it gave up 119,768 KiB. A guest without swap that shrinks itself fails to start programs (Cannot allocate memory). Give it a swap area of at least its maximum memory; it is written to only when a put is refused.`,
		}},
		{"later", &first, report.Compute(&loaded, late, nil), []string{
			`xtm: xenhost: 1 problem`,
			`Host: xenhost (Xen 4.12.4): 4 guests, overcommit ratio 0.63, 203 MiB free and 809 MiB freeable of 2,687 MiB.`,
			`Changed: since 2026-11-22 13:35 UTC (3m54s) guests' memory −355 MiB; promised −401 MiB; free +183 MiB; ephemeral pages +114 MiB; gone: db1.`,
			`tmem: in 3m54s: 1,995,591 disk reads avoided, 58,407 swap writes avoided, 55,289 swap reads avoided, 1,201 puts refused, 626,781 pages thrown out.`,
			`Problems: as before: cache1 no-swap.`,
			`To do: cache1: has 2 ephemeral pools and no persistent one, so no swap area is active in it; it gave up 119,768 KiB. A guest without swap that shrinks itself fails to start programs (Cannot allocate memory). Give it a swap area of at least its maximum memory; it is written to only when a put is refused.`,
		}},
		{"again", &first, report.Compute(&loaded, loaded, nil), []string{
			`xtm: xenhost: 1 problem`,
			`Host: xenhost (Xen 4.12.4): 5 guests, overcommit ratio 0.88, 20 MiB free and 646 MiB freeable of 2,687 MiB.`,
			`Changed: since 2026-11-22 13:35 UTC (0s) nothing.`,
			`tmem: since the host's boot: 368,640 disk reads avoided, 65,780 swap writes avoided, 51,212 swap reads avoided, 14,616 puts refused, 42,410 pages thrown out.`,
			`Problems: as before: cache1 no-swap.`,
			`To do: cache1: has 2 ephemeral pools and no persistent one, so no swap area is active in it; it gave up 119,768 KiB. A guest without swap that shrinks itself fails to start programs (Cannot allocate memory). Give it a swap area of at least its maximum memory; it is written to only when a put is refused.`,
		}},
		{"no tmem", nil, report.Compute(nil, snapshot(t, "xen-4.17/modern"), nil), []string{
			`xtm: xenhost: 4 problems`,
			`Host: xenhost (Xen 4.17.7): 5 guests, overcommit ratio 0.79, 1,106 MiB free of 2,687 MiB.`,
			`Changed: this is the first report; the next one compares with it.`,
			`tmem: removed: Xen 4.17.7 has no tmem: 4.12 was the last release with it.`,
			`Problems: web1 shrinks-without-pool, db1 shrinks-without-pool, cache1 shrinks-without-pool and 1 more.`,
			`To do: web1: has shrunk itself to 125,928 KiB of the 262,144 KiB that the toolstack gave it, and no pool stands behind it: the host has no tmem: Xen 4.17.7 has no tmem: 4.12 was the last release with it. Unless you are ballooning it just now, it squeezes itself for nothing and may fail to start programs. In the guest, switch selfballooning off and give the memory back: echo 0 > /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballooning; echo 262144 > /sys/devices/system/xen_memory/xen_memory0/target_kb (and 3 other problems: xtm report)`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := summary.Of(tt.prev, tt.cur)
			if diff := cmp.Diff(tt.want, append([]string{s.Subject}, s.Lines[:]...)); diff != "" {
				t.Errorf("%s\n%s", diff, "\n"+s.Subject+"\n"+strings.Join(s.Lines[:], "\n"))
			}
		})
	}
}

// made is a host with these domains, name and number, and these findings.
func made(end time.Time, names []string, findings ...finding.Finding) report.Report {
	r := report.Report{End: end, Interval: opt.Of(time.Hour), Tmem: xen.TmemState{Answer: xen.TmemOn}, Findings: findings}
	for i, n := range names {
		r.Domains = append(r.Domains, report.Domain{ID: opt.Of(units.DomID(i + 1)), Name: n, UUID: "u-" + n})
	}
	return r
}

func problem(subject, check string, v finding.Verdict) finding.Finding {
	return finding.Finding{Check: check, Subject: subject, Verdict: v, Seen: "seen", Advice: "Do it:", Commands: []string{"xl one", "xl two"}}
}

// TestChanges: what came, went and started anew.
func TestChanges(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	prev := made(at, []string{"a", "b", "c"}, problem("a", "frozen", finding.Warning), problem("c", "no-swap", finding.Warning))
	cur := made(at.Add(time.Hour), []string{"a", "b", "d"}, problem("d", "puts-refused-at-maximum", finding.Bad), problem("a", "frozen", finding.Warning),
		problem("b", "takes-no-part", finding.Note))
	cur.Domains[1].Reset, cur.Domains[2].Reset = report.ResetReborn, report.ResetNew
	cur.Domains[1].UUID = "another" // made anew under its name
	cur.Tmem = xen.TmemState{Answer: xen.TmemOff, Evidence: "tmem is not on Xen's command line"}
	s := summary.Of(&prev, cur)
	want := []string{
		"xtm: this host: 2 problems (1 new, 1 gone)",
		"Host: this host (Xen unknown): 3 guests.",
		"Changed: since 2026-11-22 12:00 UTC (1h0m0s) new: d; started anew: b; gone: c; tmem was on and is off.",
		"tmem: off: tmem is not on Xen's command line.",
		"Problems: new: d puts-refused-at-maximum; 1 as before; gone: c no-swap.",
		"To do: d: seen. Do it: xl one; xl two (and 1 other problem: xtm report)",
	}
	if diff := cmp.Diff(want, append([]string{s.Subject}, s.Lines[:]...)); diff != "" {
		t.Error(diff)
	}
	cur.Findings = nil
	if s := summary.Of(&prev, cur); s.Lines[3] != "Problems: none; gone: a frozen, c no-swap." || s.Lines[4] != "To do: nothing." {
		t.Errorf("%q", s.Lines)
	}
}

// TestAlwaysFiveLines: whatever the two reports hold, each line says something,
// and names do not fill them.
func TestAlwaysFiveLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) report.Report {
			names := rapid.SliceOfN(rapid.StringMatching("[a-z]{1,8}"), 0, 60).Draw(t, label)
			r := made(time.Unix(rapid.Int64Range(0, 1e9).Draw(t, "end"), 0), names)
			for i, n := range names {
				r.Domains[i].Reset = rapid.SampledFrom([]report.Reset{"", report.ResetNew, report.ResetReborn}).Draw(t, "reset")
				if rapid.Bool().Draw(t, "found") {
					r.Findings = append(r.Findings, problem(n, "frozen", finding.Warning))
				}
			}
			return r
		}
		prev, cur := draw("prev"), draw("cur")
		for _, p := range []*report.Report{nil, &prev} {
			for _, line := range summary.Of(p, cur).Lines {
				what, rest, ok := strings.Cut(line, ": ")
				if !ok || what == "" || rest == "" || strings.Contains(line, "\n") || len(line) > 400 {
					t.Fatalf("line %q", line)
				}
			}
		}
		if s := summary.Of(&cur, cur); strings.Contains(s.Subject, "new") || strings.Contains(s.Lines[3], "gone") {
			t.Fatalf("a host compared with itself: %q %q", s.Subject, s.Lines)
		}
	})
}
