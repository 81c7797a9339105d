package setup

import (
	"errors"
	"strings"
	"testing"

	"xtm/capture/importtest"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/run/runtest"
	"xtm/internal/units"
	"xtm/xen"

	"github.com/google/go-cmp/cmp"
)

// verdicts are the links of a chain, in order.
func verdicts(s Status) []string {
	out := make([]string, len(s.Findings))
	for i, f := range s.Findings {
		out[i] = f.Check + " " + string(f.Verdict)
	}
	return out
}

// TestHostStatusOfRecordings: the captures have no boot loader, so that the
// next boot is not to be told there.
func TestHostStatusOfRecordings(t *testing.T) {
	for _, tc := range []struct {
		phase      string
		impossible bool
		want       []string
	}{
		{"xen-4.12/t1-load", false, []string{
			"xen good", "tmem-now good", "tmem-next-boot could_not_tell", "clients good", "dom0-memory good",
		}},
		{"xen-4.12-notmem/t1-load", false, []string{
			"xen good", "tmem-now bad", "tmem-next-boot could_not_tell", "dom0-memory good",
		}},
		{"xen-4.17/modern", true, []string{"xen bad"}},
	} {
		t.Run(tc.phase, func(t *testing.T) {
			seams := importtest.Phase(t, tc.phase).Seams()
			s, err := HostStatus(t.Context(), seams.Files, seams.Run)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, verdicts(s)); diff != "" {
				t.Error(diff)
			}
			if s.Impossible != tc.impossible || s.Impossible != (len(s.Ways) > 0) {
				t.Errorf("impossible %t with %d ways", s.Impossible, len(s.Ways))
			}
		})
	}
}

// TestRefusalHasThisMachinesFigures: on Xen 4.17 the way on names its guests.
func TestRefusalHasThisMachinesFigures(t *testing.T) {
	files := hostFiles()
	files["proc/meminfo"] = "MemTotal:        1003776 kB\nMemAvailable:     198436 kB\n"
	m := machine(tree(t, files), programs(t))
	m.Run = importtest.Phase(t, "xen-4.17/modern").Seams().Run
	h, err := ProbeHost(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = PlanHost(h, HostOptions{})
	r, ok := errors.AsType[*cause.RefusalError](err)
	if !ok || r.Kind != cause.Impossible {
		t.Fatalf("not refused: %v", err)
	}
	text := r.Error() + "\n" + strings.Join(r.Ways, "\n")
	for _, want := range []string{"removed in Xen 4.13", "dom0_mem=984M,max:984M", "xl mem-set web1 MIB", "zswap.enabled=1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestRunningReleases: what runs must allow it, whatever boots next.
func TestRunningReleases(t *testing.T) {
	m := machine(tree(t, hostFiles()), programs(t))
	m.Run = runtest.New(m.Now()).Lacks("xl", "xentop", "xenstore-ls", "xenstore").Run
	m.Offline = true
	base, err := ProbeHost(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	yes, no, unknown := opt.Of(true), opt.Of(false), opt.Value[bool]{}
	for _, tc := range []struct {
		version string
		has     opt.Value[bool]
		total   units.KiB
		want    cause.Kind // "" is a plan
	}{
		{"4.0.4", unknown, 0, cause.Unsaid},
		{"4.1.3", unknown, 0, cause.Unsaid},
		{"4.1.4", unknown, 0, ""},
		{"4.2.0", yes, 0, cause.Unsaid},
		{"4.3.0", unknown, 0, ""},
		{"4.3.0", unknown, 6 << 30, cause.Impossible},
		{"4.2.5", unknown, 6 << 30, ""},
		{"4.5.5", yes, 0, ""},
		{"4.7.6", unknown, 0, ""},
		{"4.7.6", no, 0, cause.Impossible},
		{"4.8.5", yes, 0, ""},
		{"4.11.4", yes, 0, ""},
		{"4.12.4", yes, 0, ""},
		{"4.12.4", no, 0, cause.Impossible},
		{"4.12.4", unknown, 0, cause.Blocked},
		{"4.13.0", unknown, 0, cause.Impossible},
		{"4.17.7", no, 0, cause.Impossible},
	} {
		v, err := xen.ParseVersion(tc.version)
		if err != nil {
			t.Fatal(err)
		}
		h := base
		h.Snapshot = &xen.Snapshot{Host: xen.Host{Version: v}}
		if tc.total > 0 {
			h.Snapshot.Host.Total = opt.Of(tc.total)
		}
		h.Running = opt.Of(Hypervisor{Version: v, HasTmem: tc.has})
		p, err := PlanHost(h, HostOptions{})
		var got cause.Kind
		if r, ok := errors.AsType[*cause.RefusalError](err); ok {
			got = r.Kind
			if len(r.Ways) == 0 {
				t.Errorf("%s: no way on", tc.version)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("Xen %s, built with tmem %v, %d KiB: %q, want %q (%v)", tc.version, tc.has, tc.total, got, tc.want, err)
		}
		if got == "" && (p.Trust == "" || !strings.Contains(p.Diff(), "+GRUB_CMDLINE_XEN_DEFAULT=\"loglvl=all tmem\"")) {
			t.Errorf("Xen %s: %q, %q", tc.version, p.Trust, p.Diff())
		}
	}
}

func TestStatusAfterEnabling(t *testing.T) {
	root := tree(t, hostFiles())
	m := machine(root, programs(t))
	status := func() map[string]finding.Verdict {
		t.Helper()
		s, err := HostStatus(t.Context(), root, m.Run)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]finding.Verdict{}
		for _, f := range s.Findings {
			got[f.Check] = f.Verdict
		}
		return got
	}
	if got := status(); got["tmem-next-boot"] != finding.Bad || got["xtm"] != "" {
		t.Errorf("before: %v", got)
	}
	if err := work("enable", m); err != nil {
		t.Fatal(err)
	}
	if got := status(); got["tmem-next-boot"] != finding.Good || got["xtm"] != finding.Note {
		t.Errorf("after: %v", got)
	}
}
