//go:build xen && amd64

package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xtm/capture"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/libvirt"
	"xtm/xen/xenstore"
	"xtm/xen/xl"
)

func seams(t *testing.T) capture.Seams {
	t.Helper()
	p, s := &hypercall.Privcmd{}, xenstore.New(xenstore.Local)
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return capture.Seams{Files: hostfs.Host, Run: run.New(os.Environ()), Calls: p, Store: s}
}

// snapshots are the ways to read a host by the names that the lab's log uses.
func byHypercall(t *testing.T, s capture.Seams) (xen.Snapshot, error) {
	t.Helper()
	return hypercall.New(s.Calls, s.Store, s.Files).Snapshot(t.Context())
}

func byXL(t *testing.T, s capture.Seams) (xen.Snapshot, error) {
	t.Helper()
	return xl.New(s.Run, s.Files).Snapshot(t.Context())
}

// TestSourcesAgree reads the host in every way and holds each field of what came
// out against the hypercall source's, which is read before and after: what moves
// lies between those two. A field that differs otherwise needs an entry in
// allowed, with the reason.
func TestSourcesAgree(t *testing.T) {
	s := seams(t)
	others := map[string]func() (xen.Snapshot, error){
		"xl": func() (xen.Snapshot, error) { return byXL(t, s) },
		"libvirt": func() (xen.Snapshot, error) {
			return libvirt.New(libvirt.Local, libvirt.XenSystem).Snapshot(t.Context())
		},
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		t.Run(name, func(t *testing.T) {
			var wrong []string
			// A balloon may go down and up again between two looks: what is
			// wrong is wrong each time.
			for try := range 3 {
				before, errBefore := byHypercall(t, s)
				got, err := others[name]()
				after, errAfter := byHypercall(t, s)
				if name == "libvirt" && errors.Is(err, fs.ErrNotExist) {
					t.Skipf("no libvirtd runs here: %v", err)
				}
				if err := errors.Join(errBefore, err, errAfter); err != nil {
					t.Fatal(err)
				}
				if len(before.Domains) < 5 {
					t.Fatalf("%d domains are too few to compare", len(before.Domains))
				}
				now := compare(t, name, before, got, after)
				if try > 0 {
					now = slices.DeleteFunc(now, func(w string) bool { return !slices.Contains(wrong, w) })
				}
				if wrong = now; len(wrong) == 0 {
					return
				}
			}
			t.Errorf("differs without an explanation: %s", strings.Join(wrong, ", "))
		})
	}
}

// compare returns the fields that differ and should not, and logs the others.
func compare(t *testing.T, name string, before, got, after xen.Snapshot) (wrong []string) {
	t.Helper()
	a, x, b := fields(t, before), fields(t, got), fields(t, after)
	paths := map[string]bool{}
	for _, m := range []map[string]any{a, x, b} {
		for p := range m {
			paths[p] = true
		}
	}
	equal, why := 0, map[string][]string{}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if between(a[p], x[p], b[p], 0) {
			equal++
			continue
		}
		if reason, ok := explain(name, p, a[p], x[p], b[p]); ok {
			why[reason] = append(why[reason], p)
			continue
		}
		t.Logf("%s: %s is %v, by hypercall %v, then %v", name, p, x[p], a[p], b[p])
		wrong = append(wrong, p)
	}
	t.Logf("%s: %d fields agree", name, equal)
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		t.Logf("%s: %d fields differ: %s: %s", name, len(why[reason]), reason, strings.Join(why[reason], " "))
	}
	for _, g := range got.Gaps {
		t.Logf("%s cannot read %s: %s", name, g.What, g.Why)
	}
	if equal < 20 {
		t.Errorf("only %d fields agree", equal)
	}
	return wrong
}

// between tells whether x is a or b, or a number between them, give or take a
// step. Absent is nil.
func between(a, x, b any, step float64) bool {
	if x == a || x == b {
		return true
	}
	p, okA := a.(float64)
	q, okX := x.(float64)
	r, okB := b.(float64)
	return okA && okX && okB && q >= min(p, r)-step && q <= max(p, r)+step
}

// difference is one that is allowed.
type difference struct {
	source, field string // regular expressions
	why           string
	// near bounds it; 0 is any difference, absence included.
	near float64
}

var allowed = []difference{
	{"", `source|begin|end|listed_at`, "each tells its own name and times", 0},
	{"", `gaps\..*`, "each has its own gaps", 0},
	{"", `host\.granularity_kib`, "the step that the source knows memory in", 0},
	{"", `tmem_state\.(evidence|advice)`, "names what was asked", 0},
	{"", `domains\..*\.state\.(running|blocked)`, "whoever looks at the moment runs", 0},
	{"", `domains\..*\.guest\.age_ns`, "grows", 5e9},

	{"xl", `host\.(total|free|outstanding)_kib`, "xl info has whole MiB", 1024},
	{"xl", `domains\..*\.uptime_ns`, "xl uptime has whole seconds", 1e9},
	{"xl", `domains\..*\.cpu_time_ns`, "xl list has tenths of a second", 1e8},
	{"xl", `host\.freeable_kib`, "xl prints 0 from 4.8 on, which is left out", 0},

	{"libvirt", `domains\.(cache1|idle1|plain1|web1)\..*`, "libvirt's Xen driver lists the domains that libvirt started, and Dom0", 0},
	{"libvirt", `host\.(release|command_line|boot_messages.*|hw_caps|virt_caps.*|outstanding_kib|freeable_kib)`, "libvirt does not tell", 0},
	{"libvirt", `host\.version\.extra`, "libvirt's Xen driver knows major and minor", 0},
	{"libvirt", `host\.mhz`, "libvirt has whole MHz", 1},
	{"libvirt", `domains\..*\.(limit_kib|unlimited|target_kib|uptime_ns|pci_devices|guest\..*)`, "libvirt does not tell", 0},
	{"libvirt", `tmem\..*|tmem_state\.answer`, "libvirt knows nothing of tmem", 0},
}

func explain(source, path string, a, x, b any) (why string, ok bool) {
	for _, d := range allowed {
		if (d.source == "" || d.source == source) && regexp.MustCompile("^("+d.field+")$").MatchString(path) &&
			(d.near == 0 || between(a, x, b, d.near)) {
			return d.why, true
		}
	}
	return "", false
}

// fields are a snapshot's, by their paths in JSON; domains by their names.
func fields(t *testing.T, s xen.Snapshot) map[string]any {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	domains := map[string]any{}
	for i, d := range s.Domains {
		domains[d.Name] = tree["domains"].([]any)[i]
	}
	tree["domains"] = domains
	out := map[string]any{}
	flatten(out, "", tree)
	return out
}

func flatten(out map[string]any, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			flatten(out, path+"."+k, w)
		}
	case []any:
		for i, w := range v {
			flatten(out, fmt.Sprintf("%s.%d", path, i), w)
		}
	default:
		out[strings.TrimPrefix(path, ".")] = v
	}
}

// TestCaptureGivesTheSame records both ways while they read the host, and reads
// the recording: not a field may differ.
func TestCaptureGivesTheSame(t *testing.T) {
	rec := capture.Record(seams(t), capture.Meta{Role: capture.Host})
	live := map[string]xen.Snapshot{}
	ways := map[string]func(*testing.T, capture.Seams) (xen.Snapshot, error){"hypercall": byHypercall, "xl": byXL}
	for name, read := range ways {
		s, err := read(t, rec.Seams())
		if err != nil {
			t.Fatal(err)
		}
		live[name] = s
	}
	path := filepath.Join(t.TempDir(), "host.tar.gz")
	if err := rec.Capture(live["xl"].End, capture.Options{}).Write(path); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range ways {
		got, err := read(t, c.Seams())
		if err != nil {
			t.Fatal(err)
		}
		a, b := fields(t, live[name]), fields(t, got)
		if len(a) < 50 {
			t.Errorf("%s: only %d fields", name, len(a))
		}
		for p := range a {
			if a[p] != b[p] {
				t.Errorf("%s: %s was %v, and is %v in the capture", name, p, a[p], b[p])
			}
		}
		if len(a) != len(b) {
			t.Errorf("%s: %d fields, %d in the capture", name, len(a), len(b))
		}
		t.Logf("%s: %d fields are the same in the capture", name, len(b))
	}
}

// round keeps a ratio readable.
func round(x float64) float64 { return math.Round(x*10) / 10 }
