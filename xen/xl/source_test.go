package xl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
	"xtm/internal/units"
	"xtm/xen"
)

const (
	listHeader = "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label\n"
	topHeader  = "      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID\n"
)

func listRow(name string, id, mib int, state string) string {
	return fmt.Sprintf("%-40s %5d %5d %5d     %s  %8.1f %08d-e679-11f1-971d-5fe415631a83        -                -\n", name, id, mib, 1, state, 1.5, id)
}

func topRow(name string, kib int) string {
	return fmt.Sprintf("%10s --b---          1    0.0 %10d    2.8 %10d       7.2     1    0        0        0    3        0       80       27        394        222    0\n", name, kib, 2*kib)
}

// host scripts a host of this release with these texts; it answers the rest as
// an idle one.
func host(version, list, top string) *runtest.Fake {
	quick := func(out string) runtest.Answer { return runtest.Answer{Stdout: out, Takes: 10 * time.Millisecond} }
	return runtest.New(t0).
		On("xl info", quick("host                   : h\ntotal_memory           : 4096\nfree_memory            : 100\nxen_version            : "+version+"\nxen_commandline        : tmem\n")).
		On("xl list -v", quick(listHeader+list)).
		On("xentop -b -f -i 1", quick(topHeader+top)).
		On("xl uptime", quick("Name                                ID Uptime\n")).
		On("xl dmesg", quick("")).
		On("xl list -l", quick("[\n]\n")).
		On("xl tmem-list -l -a", quick("G=Tt:0,Te:0,Cf:0,Af:0,Pf:0,Ta:0,Lm:0,Et:0,Ea:0,Rt:0,Ra:0,Rx:0,Fp:0,Ec:0,Em:0,Oc:0,Om:0,Nc:0,Nm:0,Pc:0,Pm:0,Fc:0,Fm:0,Sc:0,Sm:0,Ep:0,Gd:0,Zt:0,Gz:0\nT\n\n")).
		Else(func(c run.Cmd) (runtest.Answer, bool) { return absentPath(c), c.Name == "xenstore-ls" })
}

func read0(t *testing.T, f *runtest.Fake) xen.Snapshot {
	t.Helper()
	s, err := New(f.Run, noFiles).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gapAbout(s xen.Snapshot, what string) *xen.Gap {
	for i := range s.Gaps {
		if strings.Contains(s.Gaps[i].What, what) {
			return &s.Gaps[i]
		}
	}
	return nil
}

// What xl and xentop print when they cannot work, and what that means.
func TestCannotWork(t *testing.T) {
	privcmd := func(errno string) runtest.Answer {
		return runtest.Answer{ExitCode: 1, Stderr: "xencall: error: Could not obtain handle on privileged command interface: " + errno + "\n" +
			"libxl: error: libxl.c:108:libxl_ctx_alloc: cannot open libxc handle: " + errno + "\ncannot init xl context\n"}
	}
	old := runtest.Answer{ExitCode: 1, Stderr: "xc: error: Could not obtain handle on privileged command interface (13 = Permission denied): Internal error\ncannot init xl context\n"}
	top := func(errno string) runtest.Answer {
		return runtest.Answer{ExitCode: 1, Stderr: "xencall: error: Could not obtain handle on privileged command interface: " + errno + "\nFailed to initialize xenstat library\n"}
	}
	wrapper := func(code int, text string) runtest.Answer {
		return runtest.Answer{ExitCode: code, Stderr: "ERROR:  " + text + "\n"}
	}
	linux := fstest.MapFS{"proc/version": {}}
	dom0 := fstest.MapFS{"proc/xen/capabilities": {Data: []byte("control_d\n")}}
	tests := []struct {
		name    string
		xl, top runtest.Answer
		lacks   []string
		files   fstest.MapFS
		want    error
		text    string
		hint    string
	}{
		{"not root", privcmd("Permission denied"), top("Permission denied"), nil, dom0, cause.ErrNeedsRoot, "Permission denied", "run it as root"},
		{"not root, old xl", old, top("Permission denied"), nil, dom0, cause.ErrNeedsRoot, "13 = Permission denied", "run it as root"},
		{"not root, no xl", old, top("Permission denied"), []string{"xl"}, dom0, cause.ErrNeedsRoot, "Permission denied", "run it as root"},
		{"no privcmd", privcmd("No such file or directory"), top("No such file or directory"), nil, linux, cause.ErrNotSupported, "privileged command interface", "run it in Dom0"},
		{"nothing installed on a Xen host", old, old, []string{"xl", "xentop"}, dom0, cause.ErrNoData, "run xl", "install Xen's tools"},
		{"nothing installed, no Xen", old, old, []string{"xl", "xentop"}, linux, cause.ErrNotSupported, "this is not a Xen host: no /proc/xen, no /sys/hypervisor/type, and run xl", "run it in Dom0"},
		{"nothing installed, nothing known", old, old, []string{"xl", "xentop"}, fstest.MapFS{}, cause.ErrNoData, "not installed", "install Xen's tools"},
		{"a guest", old, old, nil, fstest.MapFS{"proc/xen/capabilities": {}}, cause.ErrNotSupported, "has no control_d", "in a guest xtm status"},
		{"another hypervisor", old, old, nil, fstest.MapFS{"sys/hypervisor/type": {Data: []byte("kvm\n")}}, cause.ErrNotSupported, `/sys/hypervisor/type is "kvm"`, "run it in Dom0"},
		{"Debian's wrapper, no Xen", wrapper(1, "Can't find hypervisor information in sysfs!"), wrapper(1, "Can't find hypervisor information in sysfs!"), nil, fstest.MapFS{}, cause.ErrNotSupported, "hypervisor information", "run it in Dom0"},
		{"Debian's wrapper, other version", wrapper(127, "Can't find version 4.11 of xen utils (maybe xen-utils-4.11 was already removed before rebooting out of Xen 4.11), bailing out!"), wrapper(127, "Unable to execute /usr/lib/xen-4.11/bin/xentop"), nil, dom0, cause.ErrNoData, "version 4.11", "install Xen's tools"},
		{"unknown trouble", runtest.Answer{ExitCode: 1, Stderr: "xl: the roof is on fire\n"}, runtest.Answer{ExitCode: 1}, nil, dom0, nil, "the roof is on fire", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtest.New(t0).Lacks(tt.lacks...).Else(func(c run.Cmd) (runtest.Answer, bool) {
				if c.Name == "xentop" {
					return tt.top, true
				}
				return tt.xl, true
			})
			src := New(f.Run, hostfs.FromFS(tt.files))
			s, err := src.Snapshot(t.Context())
			check := func(what string, err error) {
				t.Helper()
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%s: error %v, want %v with %q", what, err, tt.want, tt.text)
					return
				}
				var hints []string
				if h, ok := errors.AsType[*advised](err); ok {
					hints = h.Hints()
				}
				if tt.hint != "" && (len(hints) != 1 || !strings.Contains(hints[0], tt.hint)) {
					t.Errorf("%s: hints %q, want %q", what, hints, tt.hint)
				}
				if tt.want == nil && cause.Of(err) != cause.Failed {
					t.Errorf("%s: %v is not \"could not tell\"", what, err)
				}
			}
			check("Snapshot", err)
			if len(s.Domains) != 0 || s.Source != "" {
				t.Errorf("a snapshot beside the error: %+v", s)
			}
			if tt.name != "not root, no xl" { // Probe asks xl only
				check("Probe", src.Probe(t.Context()))
			}
			if len(f.Calls()) > 5 {
				t.Errorf("went on after nothing could be read: %q", f.Calls())
			}
		})
	}
}

func TestProbe(t *testing.T) {
	f := host("4.12.4", listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668))
	if err := New(f.Run, noFiles).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if c := f.Calls(); len(c) != 1 || c[0] != "xl info" {
		t.Errorf("ran %q", c)
	}
}

// Each program may fail by itself: a gap, and the rest is there.
func TestOneFails(t *testing.T) {
	fails := runtest.Answer{ExitCode: 1, Stderr: "libxl: error: no\n"}
	tests := []struct {
		line, gap string
		check     func(xen.Snapshot) bool
	}{
		{"xl info", "host memory", func(s xen.Snapshot) bool {
			return len(s.Domains) == 2 && s.Domains[1].Limit.Has() && !s.Host.Total.Has() && s.Tmem.Has()
		}},
		{"xl list -v", "UUIDs", func(s xen.Snapshot) bool {
			return s.Domains[1].UUID == "" && s.Domains[1].ID.Or(0) == 1 && s.Domains[1].Limit.Has()
		}},
		{"xentop -b -f -i 1", "limits and exact memory of domains", func(s xen.Snapshot) bool {
			return s.Domains[1].Current.Or(0) == 256*1024 && !s.Domains[1].Limit.Has()
		}},
		{"xl tmem-list -l -a", "tmem listing", func(s xen.Snapshot) bool { return !s.Tmem.Has() && s.ListedAt.IsZero() && s.Domains[1].Limit.Has() }},
		{"xl uptime", "uptime", func(s xen.Snapshot) bool { return s.Domains[1].Limit.Has() }},
		{"xl dmesg", "boot messages", func(s xen.Snapshot) bool { return s.Domains[1].Limit.Has() }},
		{"xl list -l", "configuration", func(s xen.Snapshot) bool { return !s.Domains[1].PCI.Has() }},
		{"xenstore-ls -f /local/domain/1/memory", `memory/ and data/ of 1 "web1"`, func(s xen.Snapshot) bool { return !s.Domains[1].Target.Has() }},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			f := host("4.12.4", listRow("Domain-0", 0, 1018, "r-----")+listRow("web1", 1, 256, "-b----"), topRow("Domain-0", 1042668)+topRow("web1", 262100)).
				On("xl list", runtest.Answer{Stdout: listHeader + strings.ReplaceAll(listRow("Domain-0", 0, 1018, "r-----")+listRow("web1", 1, 256, "-b----"), "-e679-11f1-971d-5fe415631a83", "")}).
				On(tt.line, fails)
			s := read0(t, f)
			g := gapAbout(s, tt.gap)
			if g == nil || g.Cause != cause.Failed || !strings.Contains(g.Why, tt.line) {
				t.Errorf("gaps %+v, want one about %q", s.Gaps, tt.gap)
			}
			if len(s.Gaps) != 1 || !tt.check(s) {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Run("both lists", func(t *testing.T) {
		f := host("4.12.4", "", topRow("Domain-0", 1042668)+topRow("web1", 262100)).On("xl list -v", fails).On("xl list", fails)
		s := read0(t, f)
		if len(s.Domains) != 2 || s.Domains[0].ID.Has() || !s.Domains[0].Limit.Has() || gapAbout(s, "domain numbers") == nil {
			t.Errorf("%+v", s)
		}
	})
	t.Run("physinfo", func(t *testing.T) { // xl info goes on without it
		f := host("4.12.4", listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668)).
			On("xl info", runtest.Answer{Stdout: "host                   : h\nxen_major              : 4\nxen_minor              : 3\nxen_extra              : .1\n", Stderr: "libxl_physinfo failed.\n"})
		s := read0(t, f.On("xl tmem-freeable", runtest.Answer{Stdout: "38\n"}))
		if g := gapAbout(s, "host memory"); g == nil || g.Cause != cause.NoData || s.Host.Version.String() != "4.3.1" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		f := host("4.12.4", "web1 one two\n", topRow("Domain-0", 1042668)).On("xl list", runtest.Answer{Stdout: "?\n"})
		s := read0(t, f)
		if g := gapAbout(s, "domain numbers"); g == nil || !strings.Contains(g.Why, `read output of xl list -v: line 2: want name, ID, memory, VCPUs, state and time: "web1 one two"`) {
			t.Errorf("%+v", s.Gaps)
		}
	})
}

// Up to 4.7 xl exits 0 when the hypervisor refused.
func TestOldExitStatus(t *testing.T) {
	f := host("4.4.1", listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668)).
		On("xl tmem-list -l -a", runtest.Answer{Stderr: "libxl: error: libxl.c:4986:libxl_tmem_list: Can not get tmem list: No such device\n"})
	s := read0(t, f)
	if g := gapAbout(s, "tmem listing"); g == nil || g.Cause != cause.NotSupported {
		t.Errorf("gaps %+v", s.Gaps)
	}
	if s.Tmem.Has() || s.TmemState.Answer != xen.TmemOff {
		t.Errorf("%+v", s.TmemState)
	}
}

func TestFreeable(t *testing.T) {
	for out, want := range map[string]units.KiB{"38\n": 38 << 10, "0\n": 0, "-3\n": -1, "x\n": -1, "": -1} {
		f := host("4.3.0", listRow("Domain-0", 0, 1018, "r-----"), topRow("Domain-0", 1042668)).On("xl tmem-freeable", runtest.Answer{Stdout: out})
		s := read0(t, f)
		if got := s.Host.Freeable.Or(-1); got != want || (want < 0) != (gapAbout(s, "freeable memory") != nil) {
			t.Errorf("%q: freeable %d, gaps %+v", out, got, s.Gaps)
		}
	}
}

// How names join the two lists.
func TestJoin(t *testing.T) {
	const dom0Top = 1042668
	tests := []struct {
		name, list, top string
		want            string // id:current:limit of each
		gap             string
	}{
		{"renamed Domain-0", listRow("boss", 0, 1018, "r-----"), topRow("boss", dom0Top), "0:1042668:2085336", ""},
		{"blanks", listRow("my guest  2", 3, 256, "-b----"), topRow("my guest  2", 262100), "3:262100:524200", ""},
		{"a long name", listRow(strings.Repeat("n", 60)+" 7 8", 3, 256, "-b----"), topRow(strings.Repeat("n", 60)+" 7 8", 262100), "3:262100:524200", ""},
		{
			"a name twice", listRow("twin", 3, 256, "-b----") + listRow("twin", 4, 128, "-b----") + listRow("other", 5, 100, "-b----"),
			topRow("other", 102000) + topRow("twin", 131000) + topRow("twin", 262100), "3:262144:- 4:131072:- 5:102000:204000", `limit and exact memory of 3 "twin", 4 "twin"`,
		},
		{"a name twice in xentop", listRow("twin", 3, 256, "-b----"), topRow("twin", 131000) + topRow("twin", 262100), "3:262144:-", `limit and exact memory of 3 "twin"`},
		{"torn down, without a name", listRow("(null)", 3, 256, "---s-d") + listRow("a", 4, 128, "-b----"), topRow("a", 131000), "3:262144:- 4:131000:262000", `limit and exact memory of 3 ""`},
		{"made in between", listRow("a", 4, 128, "-b----"), topRow("a", 131000) + topRow("b", 262100), "4:131000:262000 -:262100:524200", `number of "b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := read0(t, host("4.12.4", tt.list, tt.top))
			var got []string
			for _, d := range s.Domains {
				id, limit := "-", "-"
				if n, ok := d.ID.Get(); ok {
					id = fmt.Sprint(n)
				}
				if l, ok := d.Limit.Get(); ok {
					limit = fmt.Sprint(l)
				}
				got = append(got, fmt.Sprintf("%s:%d:%s", id, d.Current.Or(-1), limit))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tt.gap == "" && len(s.Gaps) > 0 || tt.gap != "" && (len(s.Gaps) != 1 || s.Gaps[0].What != tt.gap) {
				t.Errorf("gaps %+v, want %q", s.Gaps, tt.gap)
			}
		})
	}
	if !read0(t, host("4.12.4", listRow("boss", 0, 1018, "r-----"), topRow("boss", dom0Top))).Domains[0].IsDom0() {
		t.Error("number 0 is Dom0 whatever its name")
	}
}

// A user's interrupt ends the reading and is not a gap.
func TestInterrupted(t *testing.T) {
	f, files := phase(t, "4.12-t0-idle")
	ctx, cancel := context.WithCancel(t.Context())
	runs := func(ctx context.Context, c run.Cmd) (run.Result, error) {
		if c.Name == "xenstore-ls" {
			cancel()
		}
		return f.Run(ctx, c)
	}
	s, err := New(runs, hostfs.FromFS(files)).Snapshot(ctx)
	if !errors.Is(err, context.Canceled) || len(s.Gaps) != 0 {
		t.Errorf("%v, gaps %+v", err, s.Gaps)
	}
	if n := len(f.Calls()); n != 8 {
		t.Errorf("%d calls after the interrupt", n)
	}
}

func TestXenstoreBudget(t *testing.T) {
	var list, top strings.Builder
	for id := range 30 {
		list.WriteString(listRow(fmt.Sprintf("g%d", id), id, 100, "-b----"))
		top.WriteString(topRow(fmt.Sprintf("g%d", id), 102400))
	}
	f := host("4.17.7", list.String(), top.String()).Else(func(c run.Cmd) (runtest.Answer, bool) {
		return runtest.Answer{Takes: xenstoreTimeout, Err: fmt.Errorf("run %s: %w", c, context.DeadlineExceeded)}, c.Name == "xenstore-ls"
	})
	s := read0(t, f)
	failed, skipped := gapAbout(s, `of 0 "g0", 1 "g1", 2 "g2", 3 "g3", 4 "g4" and 2 more`), gapAbout(s, "the last 23 domains")
	if failed == nil || failed.Cause != cause.Timeout || skipped == nil {
		t.Errorf("gaps %+v", s.Gaps)
	}
	f = host("4.17.7", list.String(), top.String()).Lacks("xenstore-ls")
	s = read0(t, f)
	if g := gapAbout(s, "xenstore's memory/ and data/ of all domains"); g == nil || g.Cause != cause.NoData {
		t.Errorf("gaps %+v", s.Gaps)
	}
}
