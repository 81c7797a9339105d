package hypercall_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
)

// store is xenstore as a map.
type store map[string]string

func (s store) Read(_ context.Context, path string) (string, error) {
	if v, ok := s[path]; ok {
		return v, nil
	}
	return "", &fs.PathError{Op: "read", Path: path, Err: syscall.ENOENT}
}

func dom0Files() hostfs.Files {
	return hostfs.FromFS(fstest.MapFS{
		"proc/sys/kernel/hostname":  {Data: []byte("xenhost\n")},
		"proc/sys/kernel/osrelease": {Data: []byte("4.19.0-tmemlab\n")},
		"proc/uptime":               {Data: []byte("66.27 103.94\n")},
	})
}

func snapshot(t *testing.T, x *hypercalltest.Xen, s hypercall.Store) xen.Snapshot {
	t.Helper()
	got, err := hypercall.New(x, s, dom0Files()).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// values lets cmp look into optional values.
var values = cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Value[") })

// The capture of a real Xen 4.12 as the xl source reads it, and the same host
// through hypercalls and xenstore. Where they may differ is said here.
func TestSameHostAsXL(t *testing.T) {
	var want xen.Snapshot
	if err := json.Unmarshal(testdata(t, "../xl/testdata/golden/4.12-t0-idle.json"), &want); err != nil {
		t.Fatal(err)
	}
	keys := store{}
	for line := range strings.Lines(string(testdata(t, "testdata/4.12-t0-idle-xenstore.txt"))) {
		path, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ` = "`)
		if !ok || strings.Contains(value, `\`) {
			t.Fatalf("xenstore: %q", line)
		}
		keys[path] = strings.TrimSuffix(value, `"`)
	}
	listing, err := tmem.ParseBytes(testdata(t, "../xl/testdata/4.12-t0-idle/xl-tmem-list-l-a.txt"))
	if err != nil {
		t.Fatal(err)
	}

	// xl uptime was run 54 s after web1's start_time.
	want.Begin = time.Unix(1795354329+54, 0).UTC()
	x := hypercalltest.New("4.12.4", want.Begin)
	x.TmemBuilt, x.TmemOn, x.Listing, x.FreeableMB = true, true, listing, 31
	x.CommandLine = want.Host.CommandLine.Or("") + " "
	x.Console = string(testdata(t, "../xl/testdata/4.12-t0-idle/xl-dmesg.txt"))
	x.Total, x.Free = 687999, 244331
	x.Domains = nil
	for _, d := range want.Domains {
		flags := uint32(0)
		for bit, on := range map[int]bool{0: d.State.Dying, 2: d.State.Shutdown, 3: d.State.Paused, 4: d.State.Blocked, 5: d.State.Running} {
			if on {
				flags |= 1 << bit
			}
		}
		x.Domains = append(x.Domains, hypercalltest.Domain{
			ID: d.ID.Or(0), Flags: flags, UUID: d.UUID, VCPUs: uint32(d.VCPUs.Or(0)),
			Pages: uint64(d.Current.Or(0).Pages()), MaxPages: uint64(d.Limit.Or(0).Pages()),
			CPUTime: d.CPUTime.Or(0) + 12345*time.Nanosecond,
		})
	}
	got := snapshot(t, x, keys)

	// xl is slower, and shows times in tenths of a second and memory in MiB.
	want.Source, want.End, want.ListedAt = got.Source, got.End, got.ListedAt
	h := &want.Host
	h.Total, h.Free, h.Granularity = opt.Of(units.KiB(2751996)), opt.Of(units.KiB(977324)), opt.Of(units.KiB(4))
	for i := range want.Domains {
		d := &want.Domains[i]
		d.CPUTime = opt.Of(d.CPUTime.Or(0) + 12345*time.Nanosecond)
		// Each domain's uptime was asked for some tenths of a second later.
		up, mine := d.Uptime.Or(0), got.Domains[i].Uptime.Or(0)
		if mine < up-time.Second || mine > up {
			t.Errorf("%s is up for %s, xl says %s", d.Name, mine, up)
		}
		d.Uptime = got.Domains[i].Uptime
	}
	// xl's freeable is 0 on 4.8–4.12 whatever the truth, so its source leaves it out.
	h.Freeable = opt.Of(units.MiB(31).KiB())
	if diff := cmp.Diff(want, got, values, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// guests is a host with a PV guest that has an agent, an HVM and a PVH guest, one
// that is torn down, and one under Qubes.
func guests(release string) (*hypercalltest.Xen, store) {
	x := busy(release)
	const hvm = 1 << 1
	x.Domains = append(
		x.Domains,
		hypercalltest.Domain{ID: 1, Flags: 1 << 4, Pages: 31482, MaxPages: 65792, VCPUs: 2, UUID: "1d9f7584-e679-11f1-971d-5fe415631a83"},
		hypercalltest.Domain{ID: 2, Flags: 1<<5 | hvm, Pages: 100000, MaxPages: 1<<32 - 1, VCPUs: 1, UUID: "22f6872a-e679-11f1-b8bf-2183b6966cf5"},
		hypercalltest.Domain{ID: 3, Flags: 1<<3 | hvm, Pages: 2048, MaxPages: 2304, VCPUs: 1},
		hypercalltest.Domain{ID: 9, Flags: 1 | 1<<2 | 3<<16, Pages: 16, MaxPages: 2304},
	)
	return x, store{
		"/local/domain/0/name":                     "Domain-0",
		"/local/domain/1/name":                     "web1 ",
		"/local/domain/1/vm":                       "/vm/1d9f7584",
		"/local/domain/1/memory/target":            "262144",
		"/local/domain/1/memory/static-max":        "524288",
		"/local/domain/1/data/meminfo_total":       "252000",
		"/local/domain/1/data/meminfo_free":        "120000",
		"/local/domain/1/data/updated":             "Sun Nov 22 13:35:01 UTC 2026",
		"/vm/1d9f7584/start_time":                  "1795354329.15",
		"/local/domain/2/name":                     "win\xff",
		"/local/domain/2/vm":                       "/local/domain/0", // a guest's forgery
		"/libxl/2/type":                            "hvm",
		"/local/domain/2/memory/target":            "-1",
		"/local/domain/3/name":                     "qube",
		"/libxl/3/type":                            "pvh",
		"/local/domain/3/memory/meminfo":           "81234",
		"/local/domain/3/data/meminfo_free":        "1",
		"/local/domain/0/backend/pci/2/0/num_devs": "3",
	}
}

func TestSnapshotOfEveryEra(t *testing.T) {
	for _, release := range append([]string{"4.13.5", "4.14.0", "4.15.0", "4.16.7", "4.17.7", "4.19.0", "4.21.0", "4.22.0"}, tmemReleases...) {
		t.Run(release, func(t *testing.T) {
			x, keys := guests(release)
			x.Outstanding = 100
			v := x.Version
			removed := v.AtLeast(4, 13)
			if removed {
				x.CommandLine = "console=com1 "
			}
			got := snapshot(t, x, keys)
			want := []xen.Domain{
				{
					ID: opt.Of(units.DomID(0)), UUID: "00000000-0000-0000-0000-000000000000", Name: "Domain-0", State: xen.State{Running: true},
					Current: opt.Of(units.KiB(1045212)), Limit: opt.Of(units.KiB(1048576)), VCPUs: opt.Of(2),
					CPUTime: opt.Of(56 * time.Second), Uptime: opt.Of(66 * time.Second), Type: "pv", PCI: opt.Of(0),
				},
				{
					ID: opt.Of(units.DomID(1)), UUID: "1d9f7584-e679-11f1-971d-5fe415631a83", Name: "web1", State: xen.State{Blocked: true},
					Current: opt.Of(units.KiB(125928)), Limit: opt.Of(units.KiB(263168)), StaticMax: opt.Of(units.KiB(524288)),
					Target: opt.Of(units.KiB(262144)), VCPUs: opt.Of(2), CPUTime: opt.Of(time.Duration(0)), Type: "pv", PCI: opt.Of(0),
					Uptime: opt.Of(193 * time.Second),
					Guest: opt.Of(xen.GuestMemory{
						Total: opt.Of(units.KiB(252000)), Available: opt.Of(units.KiB(120000)), Age: opt.Of(21 * time.Second), Path: "data/meminfo_free",
					}),
				},
				{
					ID: opt.Of(units.DomID(2)), UUID: "22f6872a-e679-11f1-b8bf-2183b6966cf5", Name: "win\ufffd", State: xen.State{Running: true},
					Current: opt.Of(units.KiB(400000)), Unlimited: true, VCPUs: opt.Of(1), CPUTime: opt.Of(time.Duration(0)), Type: "hvm", PCI: opt.Of(3),
				},
				{
					ID: opt.Of(units.DomID(3)), UUID: "00000000-0000-0000-0000-000000000000", Name: "qube", State: xen.State{Paused: true},
					Current: opt.Of(units.KiB(8192)), Limit: opt.Of(units.KiB(9216)), VCPUs: opt.Of(1), CPUTime: opt.Of(time.Duration(0)), Type: "pvh", PCI: opt.Of(0),
					Guest: opt.Of(xen.GuestMemory{Used: opt.Of(units.KiB(81234)), Path: "memory/meminfo"}),
				},
				{
					ID: opt.Of(units.DomID(9)), UUID: "00000000-0000-0000-0000-000000000000", State: xen.State{Dying: true, Shutdown: true, Crashed: true},
					Current: opt.Of(units.KiB(64)), Limit: opt.Of(units.KiB(9216)), VCPUs: opt.Of(0), CPUTime: opt.Of(time.Duration(0)), Type: "pv", PCI: opt.Of(0),
				},
			}
			if v.Before(4, 10) { // PVH is an HVM guest from 4.10 on only
				want[3].Type = "hvm"
			}
			if diff := cmp.Diff(want, got.Domains, values); diff != "" {
				t.Error(diff)
			}

			h := got.Host
			free, claimed := units.KiB(1133136), opt.Value[units.KiB]{}
			if v.AtLeast(4, 3) {
				free, claimed = 1133136-400, opt.Of(units.KiB(400))
			}
			if h.Version != v || h.Total.Or(0) != 2751996 || h.Free.Or(0) != free || h.Outstanding != claimed || h.CPUs.Or(0) != 2 || h.Nodes.Or(0) != 1 ||
				h.MHz.Or(0) != 2600.273 || h.CoresPerSocket.Or(0) != 2 || h.Granularity.Or(0) != 4 || h.Name != "xenhost" || h.Release != "4.19.0-tmemlab" ||
				h.HWCaps != "178bfbfd:82982203:20100800:00000001:00000000:00000000:00000000:00000000" {
				t.Errorf("host: %+v", h)
			}
			caps := "hvm_directio"
			if v.AtLeast(4, 12) {
				caps = "pv"
			}
			if strings.Join(h.VirtCaps, " ") != caps {
				t.Errorf("virt_caps are %q, want %q", h.VirtCaps, caps)
			}
			whats := map[string]cause.Word{"name of domain 9": cause.NoData}
			if removed {
				whats["tmem listing"] = cause.NotSupported
			}
			for _, g := range got.Gaps {
				if whats[g.What] != g.Cause {
					t.Errorf("gap: %+v", g)
				}
				delete(whats, g.What)
			}
			if len(whats) > 0 {
				t.Errorf("gaps that are not told: %v", whats)
			}
			if removed {
				if got.TmemState.Answer != xen.TmemRemoved || got.Tmem.Has() || h.Freeable.Has() {
					t.Errorf("tmem: %+v %+v", got.TmemState, got.Tmem)
				}
				return
			}
			l, _ := got.Tmem.Get()
			if got.TmemState.Answer != xen.TmemOn || h.Freeable.Or(0) != units.MiB(646).KiB() || len(l.Clients) != 3 ||
				!got.ListedAt.After(got.Begin) || !got.End.After(got.ListedAt) || !got.Begin.Equal(start) {
				t.Errorf("tmem: %+v, freeable %v, %d clients, from %s to %s, listed at %s",
					got.TmemState, h.Freeable, len(l.Clients), got.Begin, got.End, got.ListedAt)
			}
		})
	}
}

func TestTmemThatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		release string
		on      bool
		built   bool
		console string
		want    xen.TmemAnswer
		gap     cause.Word
	}{
		{"4.3.0", false, true, "", xen.TmemOff, cause.NotSupported},
		{"4.5.5", false, true, "", xen.TmemOff, cause.NotSupported},
		{"4.7.0", false, true, "", xen.TmemOff, ""},
		{"4.7.0", false, false, "", xen.TmemCompiledOut, cause.NotSupported},
		{"4.11.4", false, true, "", xen.TmemOff, ""},
		{"4.12.4", false, false, "", xen.TmemCompiledOut, cause.NotSupported},
		{"4.12.4", true, true, "(XEN) tmem: initialized comp=0\n", xen.TmemOn, ""},
	} {
		x := hypercalltest.New(c.release, start)
		x.TmemOn, x.TmemBuilt, x.CommandLine, x.Console = c.on, c.built, "console=com1", c.console
		got := snapshot(t, x, store{"/local/domain/0/name": "Domain-0"})
		if got.TmemState.Answer != c.want {
			t.Errorf("%s, on %v, built %v: %+v, want %s", c.release, c.on, c.built, got.TmemState, c.want)
		}
		if c.gap == "" && len(got.Gaps) > 0 || c.gap != "" && (len(got.Gaps) != 1 || got.Gaps[0].Cause != c.gap || got.Gaps[0].What != "tmem listing") {
			t.Errorf("%s, on %v, built %v: gaps %+v, want %q", c.release, c.on, c.built, got.Gaps, c.gap)
		}
	}
}

// failing is a xenstore that fails from the nth read on.
type failing struct {
	store
	left  int
	reads int
	err   error
}

func (f *failing) Read(ctx context.Context, path string) (string, error) {
	f.reads++
	if f.left--; f.left < 0 {
		return "", f.err
	}
	return f.store.Read(ctx, path)
}

func TestXenstoreFails(t *testing.T) {
	x, keys := guests("4.17.7")
	f := &failing{store: keys, left: 12, err: errors.New("connection lost")}
	got := snapshot(t, x, f)
	if f.reads != 13 {
		t.Errorf("xenstore was asked %d times, want 13: it is not asked again", f.reads)
	}
	var what []string
	for _, g := range got.Gaps {
		if g.Why == "connection lost" {
			what = append(what, g.What)
		}
	}
	if diff := cmp.Diff([]string{"names and targets of domains from 1 on"}, what); diff != "" {
		t.Error(diff)
	}
	if got.Domains[0].Name != "Domain-0" || got.Domains[4].UUID == "" || !got.Domains[4].Current.Has() || got.Domains[4].PCI.Has() {
		t.Errorf("%+v", got.Domains)
	}
}

func TestSnapshotOfOthers(t *testing.T) {
	files := hostfs.FromFS(fstest.MapFS{})
	vendor := hypercalltest.New("4.4.4", start)
	vendor.SysctlVersion = 0x4001
	guest := hypercalltest.New("4.17.7", start)
	guest.Denied = true
	for name, c := range map[string]hypercall.Caller{"a vendor's Xen": vendor, "a guest": guest} {
		src := hypercall.New(c, store{}, files)
		if _, err := src.Snapshot(t.Context()); !errors.Is(err, cause.ErrNotSupported) {
			t.Errorf("%s: %v", name, err)
		}
		if err := src.Probe(t.Context()); !errors.Is(err, cause.ErrNotSupported) {
			t.Errorf("%s: probe: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hypercall.New(hypercalltest.New("4.17.7", start), store{}, files).Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	// Without Dom0's files and without xenstore there is a snapshot all the same.
	got, err := hypercall.New(hypercalltest.New("4.17.7", start), store{}, files).Snapshot(t.Context())
	if err != nil || len(got.Domains) != 1 || !got.Domains[0].Current.Has() || len(got.Gaps) != 5 {
		t.Errorf("%v %+v", err, got)
	}
}

func TestCommandLineFromTheConsole(t *testing.T) {
	x := hypercalltest.New("4.7.0", start)
	x.Console = strings.Repeat("(XEN) noise\n", 5000) + "(XEN) Command line: tmem console=com1 \n"
	got := snapshot(t, x, store{"/local/domain/0/name": "Domain-0"})
	if got.Host.CommandLine.Or("") != "tmem console=com1" {
		t.Errorf("command line %q", got.Host.CommandLine.Or(""))
	}
}

// TestManyDomains needs several calls, and domains that die in between.
func TestManyDomains(t *testing.T) {
	for _, release := range []string{"4.0.4", "4.2.5", "4.10.0", "4.22.0"} {
		x := hypercalltest.New(release, start)
		for i := 1; i < 1000; i++ {
			x.Domains = append(x.Domains, hypercalltest.Domain{ID: units.DomID(3 * i), Pages: uint64(i), MaxPages: uint64(2 * i), VCPUs: 1})
		}
		got := snapshot(t, x, store{})
		if len(got.Domains) != 1000 || got.Domains[999].ID.Or(0) != 2997 || got.Domains[999].Limit.Or(0) != 4*2*999 {
			t.Errorf("%s: %d domains, the last is %+v", release, len(got.Domains), got.Domains[len(got.Domains)-1])
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	x := busy("4.12.4")
	x.Listing = tmemtest.Host(5, 3)
	for i := 1; i < 6; i++ {
		x.Domains = append(x.Domains, hypercalltest.Domain{ID: units.DomID(i), Pages: 1 << 16, MaxPages: 1 << 17, VCPUs: 1})
	}
	src := hypercall.New(x, store{}, dom0Files())
	for b.Loop() {
		if _, err := src.Snapshot(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
