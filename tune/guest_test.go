package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/units"
)

func state(m fstest.MapFS) guest.State { return guest.Read(hostfs.FromFS(m), nil) }

// loaded is the guest of captures/xen-4.12 under load, with the zones of another
// boot of it, which the recording left out.
func loaded(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	m := guesttest.Files(t, "xen-4.12/"+name+"/2-under-load")
	m["proc/zoneinfo"] = guesttest.Files(t, "xen-4.12-selfballoon/"+name+"/8")["proc/zoneinfo"]
	return m
}

// onDisk writes a recorded guest to a root that can be changed.
func onDisk(t *testing.T, m fstest.MapFS) hostfs.Root {
	t.Helper()
	root := t.TempDir()
	for name, f := range m {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return hostfs.Root(root)
}

// kernel is a guest of that version: the tunables that it has, at their defaults.
func kernel(t *testing.T, v string) fstest.MapFS {
	t.Helper()
	m := loaded(t, "web1")
	guesttest.Put(m, "/proc/sys/kernel/osrelease", v+".0-test\n")
	release, err := guest.ParseRelease(v)
	if err != nil {
		t.Fatal(err)
	}
	there := guest.Tunables(release.Version)
	for _, tn := range guest.Tunables(guest.Version{Major: 4, Minor: 19}) {
		if !slices.ContainsFunc(there, func(o guest.Tunable) bool { return o.Name == tn.Name }) {
			guesttest.Remove(m, path.Join(guest.BalloonDir, tn.Name))
		}
	}
	return m
}

func yes() (bool, string) { return true, "proved" }
func no() (bool, string)  { return false, "nothing shows a pool" }

func plan(t *testing.T, m fstest.MapFS, proved Proved, words ...string) (GuestPlan, error) {
	t.Helper()
	want, err := ParseGuestWords(words)
	if err != nil {
		t.Fatal(err)
	}
	return PlanGuest(state(m), want, proved)
}

// What each kernel has, and what it refuses.
func TestGuestRanges(t *testing.T) {
	for v, want := range map[string]struct{ has, lacks string }{
		"3.2":  {"selfballoon_min_usable_mb", "selfballoon_reserved_mb frontswap_inertia scrub_pages"},
		"3.5":  {"selfballoon_reserved_mb frontswap_hysteresis", "scrub_pages"},
		"3.14": {"selfballoon_reserved_mb frontswap_selfshrinking", "scrub_pages"},
		"4.19": {"selfballoon_reserved_mb frontswap_selfshrinking scrub_pages", "nothing"},
	} {
		m := kernel(t, v)
		for name := range strings.FieldsSeq(want.has) {
			if p, err := plan(t, m, yes, name+"=1"); err != nil || len(p.Changes) != 1 {
				t.Errorf("Linux %s, %s: %+v, %v", v, name, p.Changes, err)
			}
		}
		for name := range strings.FieldsSeq(want.lacks) {
			if _, err := plan(t, m, yes, name+"=1"); !errors.As(err, new(*cause.RefusalError)) {
				t.Errorf("Linux %s, %s: %v", v, name, err)
			}
		}
		// 0 where the kernel divides by it or counts down from it, and what it would
		// cut off.
		for _, bad := range []string{
			"selfballoon_interval=0", "selfballoon_downhysteresis=0", "selfballoon_uphysteresis=0", "selfballoon_min_usable_mb=0",
			"selfballooning=2", "selfballoon_interval=4294967297", "selfballoon_interval=-1", "selfballoon_interval=5s",
		} {
			if _, err := plan(t, m, yes, bad); err == nil {
				t.Errorf("Linux %s takes %s", v, bad)
			}
		}
		view := ViewGuest(state(m))
		if view.Target == nil || len(view.Formula) != 4 || strings.Contains(view.Formula[0], "reserved") != (v != "3.1") {
			t.Errorf("Linux %s: %+v", v, view)
		}
	}
}

// Every tunable of the recorded guests is shown, with a value that can be set
// again, or the default that cannot.
func TestRecordedTunables(t *testing.T) {
	for _, moment := range []string{"web1/1-after-setup", "web1/2-under-load", "cache1/1-after-setup"} {
		m := guesttest.Files(t, "xen-4.12/"+moment)
		v := ViewGuest(state(m))
		if len(v.Tunables) != 13 {
			t.Errorf("%s: %d tunables", moment, len(v.Tunables))
		}
		for _, tn := range v.Tunables {
			if err := tn.Check(fmt.Sprint(tn.Value)); err != nil && (tn.Value != 0 || tn.Name != guest.SelfballoonMin) {
				t.Errorf("%s: %v", moment, err)
			}
			if tn.Unit == "" || tn.Default == "" || tn.Meaning == "" {
				t.Errorf("%s is not explained", tn.Name)
			}
		}
	}
	v := ViewGuest(state(guesttest.Files(t, "xen-4.12/plain1/2-under-load")))
	if v.NoTarget == "" || v.Target != nil {
		t.Errorf("a guest without tmem: %+v", v)
	}
}

// The formula with its numbers ends at the page that the kernel had set: in the
// settled samples at once, between two samples within one interval by one step.
func TestExplainedTargetIsTheKernels(t *testing.T) {
	look := func(name string, n int) (GuestView, units.Pages) {
		t.Helper()
		s := state(guesttest.Files(t, fmt.Sprintf("xen-4.12-selfballoon/%s/%d", name, n)))
		b, _ := s.Balloon.Get()
		v := ViewGuest(s)
		if v.Target == nil {
			t.Fatalf("%s, %d: %s", name, n, v.NoTarget)
		}
		return v, b.Target.Pages()
	}
	samples := 0
	for name, from := range map[string]int{"web1": 3, "cache1": 7, "db1": 8, "idle1": 8} {
		for n := from; n <= 8; n++ {
			v, kernels := look(name, n)
			if last := v.Formula[3]; v.Target.Balloon != kernels || !strings.HasSuffix(last, ": "+units.Group(kernels)+" = "+units.Group(kernels.KiB())+" KiB") {
				t.Errorf("%s, %d: the kernel has %d, and %q", name, n, kernels, v.Formula)
			}
			samples++
		}
	}
	for _, step := range []struct {
		name string
		n    int
	}{{"cache1", 1}, {"cache1", 2}, {"cache1", 4}, {"idle1", 2}, {"web1", 2}, {"db1", 1}} {
		v, _ := look(step.name, step.n)
		_, later := look(step.name, step.n+1)
		if v.Target.Balloon != later {
			t.Errorf("%s, %d: explained %d, and the kernel went to %d: %q", step.name, step.n, v.Target.Balloon, later, v.Formula)
		}
		samples++
	}
	if samples != 16 {
		t.Errorf("%d samples", samples)
	}
	v, _ := look("cache1", 1)
	want := []string{
		"goal = committed 1,075 + kernel's reserve 776 + reserved 4,352 (17 MiB) + in frontswap 0 = 6,203",
		"step = managed 32,509 − (32,509 − 6,203)/8 = 29,221",
		"floor = reserve 776 + 40 MiB + (useful − 40 MiB)/8 = 776 + 10,240 + 38,136/8 = 15,783; useful = last page 49,152 − reserve 776 = 48,376",
	}
	if diff := cmp.Diff(want, v.Formula[:3]); diff != "" {
		t.Error(diff)
	}
}

// Selfballooning starts with a proof and a swap area only.
func TestSelfballooningIsNotStartedBlindly(t *testing.T) {
	m := loaded(t, "web1")
	guesttest.Put(m, guest.BalloonDir+"/"+guest.Selfballoon, "0\n")
	if _, err := plan(t, m, no, "selfballooning=1"); err == nil || !strings.Contains(err.Error(), "nothing shows a pool") {
		t.Errorf("without a proof: %v", err)
	}
	p, err := plan(t, m, yes, "selfballooning=1")
	if err != nil || p.Changes[0].Lasts {
		t.Errorf("%+v, %v", p, err)
	}
	guesttest.Put(m, "/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
	if _, err := plan(t, m, yes, "selfballooning=1"); err == nil || !strings.Contains(err.Error(), "no swap area") {
		t.Errorf("without swap: %v", err)
	}
	// Off it can be switched always, and for good.
	m = loaded(t, "web1")
	if p, err := plan(t, m, no, "selfballooning=0"); err != nil || !p.Changes[0].Lasts {
		t.Errorf("%+v, %v", p, err)
	}
}

func checks(p GuestPlan) string {
	var out []string
	for _, n := range p.Notes {
		out = append(out, n.Check)
	}
	return strings.Join(out, " ")
}

func TestGuestWarnings(t *testing.T) {
	for words, want := range map[string]string{
		"selfballoon_interval=10":     "",
		"selfballoon_reserved_mb=64":  "",
		"selfballoon_reserved_mb=2":   "starves",
		"selfballoon_min_usable_mb=1": "not-undone starves",
		// More than the kernel's floor and than what was promised.
		"selfballoon_min_usable_mb=400": "not-undone",
		"target_kb=200000":              "overwritten",
	} {
		p, err := plan(t, loaded(t, "web1"), yes, words)
		if got := checks(p); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q: %+v", words, got, err, want, p.Notes)
		}
	}
	// With little swap free it says so.
	m := loaded(t, "web1")
	info := string(m["proc/meminfo"].Data)
	lines := strings.Split(info, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "SwapFree:") {
			lines[i] = "SwapFree: 1024 kB"
		}
		if strings.HasPrefix(l, "Committed_AS:") {
			lines[i] = "Committed_AS: 20000 kB"
		}
	}
	guesttest.Put(m, "/proc/meminfo", strings.Join(lines, "\n"))
	if p, err := plan(t, m, yes, "selfballoon_reserved_mb=30"); checks(p) != "swap-too-small" || err != nil {
		t.Errorf("%+v, %v", p.Notes, err)
	}
}

// Setting, setting again, and undoing, in each place that lasts.
func TestGuestSetLastsAndIsUndone(t *testing.T) {
	const rc = "#!/bin/sh -e\n# rc.local\nmount -a\nexit 0\n"
	for _, tt := range []struct {
		name string
		put  map[string]string
		path string
		want string
	}{
		{"systemd", map[string]string{"/lib/systemd/systemd": "", "/etc/rc.local": rc}, tmpfilesFile, "w /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballoon_interval - - - - 10\n"},
		{"openrc", map[string]string{"/etc/local.d/README": ""}, openrcFile, "[ -w /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballoon_interval ] && echo 10 >"},
		{"rc.local", map[string]string{"/etc/rc.local": rc}, rcLocalFile, "mount -a\n" + blockBegin + "\n[ -w "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := loaded(t, "web1")
			for p, text := range tt.put {
				guesttest.Put(m, p, text)
			}
			root := onDisk(t, m)
			before := tree(t, root)
			do := func(words ...string) GuestPlan {
				t.Helper()
				want, err := ParseGuestWords(words)
				if err != nil {
					t.Fatal(err)
				}
				p, err := PlanGuest(guest.Read(root, nil), want, yes)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			p := do("selfballoon_interval=10", "selfballoon/selfballoon_downhysteresis=16")
			r, err := ApplyGuest(root, p, true)
			if err != nil || len(r.Done) != 2 || r.Lasting != tt.path {
				t.Fatalf("%+v, %v", r, err)
			}
			b, err := root.ReadFile(tt.path)
			if err != nil || !strings.Contains(string(b), tt.want) || !strings.Contains(string(b), "16") {
				t.Errorf("%s\n%v", b, err)
			}
			if tt.path == rcLocalFile && !strings.HasSuffix(string(b), blockEnd+"\nexit 0\n") {
				t.Errorf("%s", b)
			}
			now, err := guest.ReadBalloon(root)
			if err != nil || now.Settings[guest.SelfballoonEvery] != 10 || now.Settings[guest.SelfballoonDown] != 16 {
				t.Errorf("%+v, %v", now, err)
			}
			if done, err := Settled(root, do("selfballoon_interval=10"), true); !done || err != nil {
				t.Error("a second run would do it again", err)
			}
			if _, err := ApplyGuest(root, do("selfballoon_interval=20"), true); err != nil {
				t.Fatal(err)
			}
			if b, _ := root.ReadFile(tt.path); strings.Count(string(b), "interval") > 2 || !strings.Contains(string(b), "20") {
				t.Errorf("%s", b)
			}
			u, err := UndoGuest(root, guest.Read(root, nil), true)
			if err != nil || len(u.Back) != 2 || !slices.Equal(u.Removed, []string{tt.path}) {
				t.Errorf("dry: %+v, %v", u, err)
			}
			if _, err := UndoGuest(root, guest.Read(root, nil), false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tree are the files of a root with their contents.
func tree(t *testing.T, root hostfs.Root) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(string(root), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		out[strings.TrimPrefix(p, string(root))] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// When one value is not taken, those before it are written back.
func TestGuestSetRestores(t *testing.T) {
	m := loaded(t, "web1")
	guesttest.Put(m, "/lib/systemd/systemd", "")
	root := onDisk(t, m)
	before := tree(t, root)
	p, err := PlanGuest(guest.Read(root, nil), map[string]string{"selfballoon_downhysteresis": "9", "selfballoon_interval": "7"}, yes)
	if err != nil {
		t.Fatal(err)
	}
	p.Changes = append(p.Changes, GuestChange{Tunable: guest.Tunable{Name: "selfballoon/gone"}, From: 1, To: 2})
	if err := os.Remove(filepath.Join(string(root), "/lib/systemd/systemd")); err != nil {
		t.Fatal(err)
	}
	if r, err := ApplyGuest(root, p, true); err == nil || len(r.Done) > 0 {
		t.Errorf("nowhere to keep it: %+v, %v", r, err)
	}
	if r, err := ApplyGuest(root, p, false); err == nil || len(r.Done) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	after := tree(t, root)
	for name := range before {
		if strings.TrimSpace(after[name]) != strings.TrimSpace(before[name]) && !strings.HasPrefix(name, "/lib/") {
			t.Errorf("%s: %q, was %q", name, after[name], before[name])
		}
	}
	if ok, _ := root.Exists(guestRecordFile); ok {
		t.Error("the record stays")
	}
}

func TestParseGuestFile(t *testing.T) {
	got, err := ParseGuestFile([]byte("selfballoon_interval = 10\nselfballoon_reserved_mb = 64\n"))
	if diff := cmp.Diff(map[string]string{"selfballoon_interval": "10", "selfballoon_reserved_mb": "64"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, bad := range []string{"", "a = \"1\"", "[a]\nb = 1", "a = 1.5", "a = 1\na = 2", "a"} {
		if got, err := ParseGuestFile([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzParseGuestRecord(f *testing.F) {
	f.Add([]byte(`{"schema":1,"before":{"selfballoon/selfballoon_interval":5},"lasting":{"selfballoon/selfballoon_interval":10}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseGuestRecord(b)
		if err != nil {
			return
		}
		for name := range r.Before { // it becomes part of a path
			if strings.Contains(name, "..") || strings.HasPrefix(name, "/") {
				t.Errorf("%q", name)
			}
		}
	})
}

func FuzzRcLocal(f *testing.F) {
	f.Add("#!/bin/sh -e\nexit 0\n")
	f.Add("")
	f.Add(blockBegin + "\nx\n")
	f.Add("a\n" + blockBegin + "\nx\n" + blockEnd + "\nb")
	f.Fuzz(func(t *testing.T, text string) {
		values := map[string]uint64{guest.SelfballoonEvery: 10}
		once := withBlock(text, values)
		if twice := withBlock(once, values); twice != once {
			t.Errorf("a second time is another: %q, %q", once, twice)
		}
	})
}
