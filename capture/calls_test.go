package capture_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/capture"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/xen"
	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem/tmemtest"
)

// keys is xenstore as a map; a value that is an error is one.
type keys map[string]any

func (k keys) Read(_ context.Context, path string) (string, error) {
	switch v := k[path].(type) {
	case string:
		return v, nil
	case error:
		return "", v
	default:
		return "", &fs.PathError{Op: "read xenstore", Path: path, Err: syscall.ENOENT}
	}
}

const webUUID = "1d9f7584-e679-11f1-971d-5fe415631a83"

var begin = time.Date(2026, 11, 22, 13, 35, 22, 17, time.FixedZone("", 3600))

// hypervisor is a host of a release as hypercalls and xenstore show it.
func hypervisor(release string) (*hypercalltest.Xen, capture.Seams) {
	x := hypercalltest.New(release, begin)
	x.CommandLine, x.Console = "tmem console=com1 ", strings.Repeat("(XEN) noise\n", 2800)+"(XEN) tmem: initialized comp=0\n"
	if x.Version.Before(4, 13) {
		x.TmemBuilt, x.TmemOn, x.Listing, x.FreeableMB = true, true, tmemtest.Host(3, 2), 646
	}
	x.Domains = append(
		x.Domains,
		hypercalltest.Domain{ID: 1, Flags: 1 << 4, Pages: 31482, MaxPages: 65792, VCPUs: 2, UUID: webUUID},
		hypercalltest.Domain{ID: 2, Flags: 1 << 5, Pages: 40000, MaxPages: 1<<32 - 1, VCPUs: 1, UUID: "22f6872a-e679-11f1-b8bf-2183b6966cf5"},
	)
	files := hostfs.FromFS(fstest.MapFS{
		"proc/sys/kernel/hostname":  {Data: []byte("xenhost\n")},
		"proc/sys/kernel/osrelease": {Data: []byte("4.19.0-tmemlab\n")},
		"proc/uptime":               {Data: []byte("66.27 103.94\n")},
		"proc/xen/capabilities":     {Data: []byte("control_d\n")},
	})
	return x, capture.Seams{Files: files, Run: (&world{}).run, Calls: x, Store: keys{
		"/local/domain/0/name":                     "Domain-0",
		"/local/domain/1/name":                     "web1 ",
		"/local/domain/1/vm":                       "/vm/" + webUUID,
		"/local/domain/1/memory/target":            "262144",
		"/local/domain/1/data/meminfo_free":        "120000",
		"/vm/" + webUUID + "/start_time":           "1795354329.15",
		"/local/domain/2/name":                     "win\xff\xfe\t1",
		"/libxl/2/type":                            "pv",
		"/local/domain/0/backend/pci/2/0/num_devs": "3",
	}}
}

func calls(t *testing.T, s capture.Seams) xen.Snapshot {
	t.Helper()
	snap, err := hypercall.New(s.Calls, s.Store, s.Files).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func recorder(s capture.Seams) *capture.Recorder {
	return capture.Record(s, capture.Meta{XTM: "test", Role: capture.Host, Begin: begin})
}

// The snapshot of a recorded hypervisor is that of the hypervisor, and so is
// that of a recording of the recording.
func TestHypercallsOfEveryEra(t *testing.T) {
	for _, release := range []string{"4.0.0", "4.2.5", "4.5.5", "4.6.6", "4.8.0", "4.12.4", "4.13.5", "4.17.7", "4.22.0"} {
		t.Run(release, func(t *testing.T) {
			_, live := hypervisor(release)
			want := calls(t, live)
			_, live = hypervisor(release)
			rec := recorder(live)
			recorded := calls(t, rec.Seams())
			want.Begin, want.End = want.Begin.UTC(), want.End.UTC()
			if !want.ListedAt.IsZero() {
				want.ListedAt = want.ListedAt.UTC()
			}
			if diff := cmp.Diff(want, recorded, options); diff != "" {
				t.Errorf("recording changes what is read:\n%s", diff)
			}
			c := reopened(t, rec.Capture(begin.Add(time.Second), capture.Options{}))
			if len(c.Ignored) > 0 {
				t.Errorf("ignored %q", c.Ignored)
			}
			again := recorder(c.Seams())
			for range 2 { // each Seams starts from the first again
				if diff := cmp.Diff(want, calls(t, c.Seams()), options); diff != "" {
					t.Errorf("live (-) and replayed (+) differ:\n%s", diff)
				}
			}
			if diff := cmp.Diff(want, calls(t, again.Seams()), options); diff != "" {
				t.Errorf("live (-) and replayed through a recorder (+) differ:\n%s", diff)
			}
			summary := c.Summary().String()
			if !strings.Contains(summary, " hypercalls (host, ") || strings.Contains(summary, "not captured") || !strings.Contains(summary, "left out: 0 secrets, 0 lines") {
				t.Errorf("summary: %s", summary)
			}
		})
	}
}

// A hypervisor that refuses, or cannot be asked, does so again, in the same
// words.
func TestRefusalsAreReplayed(t *testing.T) {
	vendor, seams := hypervisor("4.4.4")
	vendor.SysctlVersion = 0x4001
	gone := seams
	gone.Calls = broken{&fs.PathError{Op: "open", Path: "/dev/xen/privcmd", Err: syscall.ENOENT}}
	closed := seams
	closed.Calls = broken{&fs.PathError{Op: "open", Path: "/dev/xen/privcmd", Err: syscall.EACCES}}
	_, mute := hypervisor("4.17.7")
	mute.Store = keys{"/local/domain/0/name": &fs.PathError{
		Op: "read xenstore", Path: "/local/domain/0/name",
		Err: fmt.Errorf("connect to xenstore: %w", &fs.PathError{Op: "dial", Path: "/run/xenstored/socket", Err: syscall.ECONNREFUSED}),
	}}
	for name, c := range map[string]struct {
		live capture.Seams
		is   error
		text string
	}{
		"a vendor's Xen":     {seams, cause.ErrNotSupported, "takes no version of the sysctl interface"},
		"no privcmd":         {gone, fs.ErrNotExist, "open /dev/xen/privcmd: no such file"},
		"not root":           {closed, fs.ErrPermission, "open /dev/xen/privcmd: permission denied"},
		"no xenstore behind": {mute, nil, "connect to xenstore: dial /run/xenstored/socket: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := recorder(c.live)
			seen := func(s capture.Seams) string {
				snap, err := hypercall.New(s.Calls, s.Store, s.Files).Snapshot(t.Context())
				if !errors.Is(err, c.is) {
					t.Errorf("%v is no %v", err, c.is)
				}
				return fmt.Sprint(err, snap.Gaps)
			}
			want := seen(rec.Seams())
			if !strings.Contains(want, c.text) {
				t.Errorf("%q does not say %q", want, c.text)
			}
			copied := reopened(t, rec.Capture(begin, capture.Options{}))
			if got := seen(copied.Seams()); got != want {
				t.Errorf("live    %s\nreplayed %s", want, got)
			}
			// What the hypervisor answers is captured, a refusal too.
			told := strings.Contains(copied.Summary().String(), "not captured: ")
			if vendor := c.live.Calls == seams.Calls; told == vendor {
				t.Errorf("summary: %s", copied.Summary())
			}
		})
	}
}

// broken cannot issue a hypercall.
type broken struct{ err error }

func (b broken) Call(context.Context, *hypercall.Request) (hypercall.Answer, error) {
	return hypercall.Answer{}, b.err
}

// Identical questions get the answers in order, then the last; another question
// is named.
func TestQuestionsAreMatchedByTheirBytes(t *testing.T) {
	x, live := hypervisor("4.12.4")
	rec := recorder(live)
	ask := func(s capture.Seams, sub uint64) (int64, error) {
		a, err := s.Calls.Call(t.Context(), &hypercall.Request{Op: hypercall.OpVersion, Sub: sub})
		return a.Value, err
	}
	for _, minor := range []int{12, 11} {
		x.Version.Minor = minor
		if _, err := ask(rec.Seams(), 0); err != nil {
			t.Fatal(err)
		}
	}
	s := rec.Capture(begin, capture.Options{}).Seams()
	for i, want := range []int64{4<<16 | 12, 4<<16 | 11, 4<<16 | 11} {
		if got, err := ask(s, 0); got != want || err != nil {
			t.Errorf("question %d: %#x, %v, want %#x", i, got, err, want)
		}
	}
	_, err := ask(s, 3)
	if !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "xen_version 3") {
		t.Errorf("another question: %v", err)
	}
	sysctl := &hypercall.Request{Op: hypercall.OpSysctl, Struct: []byte{18, 1, 0, 0, 9, 9, 9, 9}}
	if _, err := s.Calls.Call(t.Context(), sysctl); !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "sysctl 274") {
		t.Errorf("another sysctl: %v", err)
	}
	if _, err := s.Store.Read(t.Context(), "/tool"); !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "xenstore /tool") {
		t.Errorf("another key: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Calls.Call(ended, sysctl); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	if s := (&capture.Capture{}).Seams(); s.Calls != nil || s.Store != nil {
		t.Error("a capture without hypercalls seems to have some")
	}
}

// Secrets of Xen's command line and console go, wherever the border between two
// pieces of the ring lies; what is not a secret stays in its place.
func TestHypercallsAreScrubbed(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, at := range []int{0, 12, 26, 40} {
		x, live := hypervisor("4.12.4")
		// The pieces have 32 KiB; here the border lies near the password.
		x.Console = strings.Repeat("x", 32<<10-at-1) + "\npassword=" + secret + " (XEN) Command line: a\n(XEN) tmem: initialized comp=0\n"
		x.CommandLine = "tmem rd.iscsi.password=" + secret + " console=com1"
		store := live.Store.(keys)
		store["/local/domain/1/data/secret"] = secret
		rec := recorder(live)
		want := calls(t, rec.Seams())
		if _, err := rec.Seams().Store.Read(t.Context(), "/local/domain/1/data/secret"); err != nil {
			t.Fatal(err)
		}
		c := rec.Capture(begin, capture.Options{})
		if found := contains(t, c, secret, secret[:8], secret[4:]); len(found) > 0 {
			t.Errorf("border at %d: %q", at, found)
		}
		if c.Meta.Scrubbed < 2 || c.Meta.Withheld != 1 {
			t.Errorf("border at %d: counted %d secrets, %d keys", at, c.Meta.Scrubbed, c.Meta.Withheld)
		}
		want.Host.CommandLine = opt.Of("tmem rd.iscsi.password=[scrubbed]---- console=com1")
		if diff := cmp.Diff(want, calls(t, reopened(t, c).Seams()), options); diff != "" {
			t.Errorf("border at %d: live (-) and scrubbed (+) differ:\n%s", at, diff)
		}
	}
}

// A redacted capture gives the same but for names, in every layout; what names
// there were is nowhere in it.
func TestHypercallsAreRedacted(t *testing.T) {
	for _, release := range []string{"4.2.5", "4.6.6", "4.12.4", "4.17.7"} {
		x, live := hypervisor(release)
		x.Console += "(XEN) Dom0: web1 at 192.0.2.17, xenhost login: \x00 web1 again\n(XEN) tmem: initialized comp=0\n"
		x.CommandLine += "placeholder=xenhost"
		rec := recorder(live)
		plain := calls(t, rec.Seams())
		c := reopened(t, rec.Capture(begin, capture.Options{Redact: true}))
		handle := "1d9f7584e67911f1"
		raw, err := hex.DecodeString(handle)
		if err != nil {
			t.Fatal(err)
		}
		if found := contains(t, c, "web1", webUUID, "xenhost", `win\xff`, "192.0.2.17", handle, string(raw)); len(found) > 0 {
			t.Errorf("%s: found %q", release, found)
		}
		got := calls(t, c.Seams())
		if len(plain.Domains) != len(got.Domains) {
			t.Fatalf("%s: %d domains, then %d", release, len(plain.Domains), len(got.Domains))
		}
		for i, d := range got.Domains {
			if id := d.ID.Or(0); id > 0 && (d.Name != fmt.Sprintf("dom-%d", id) || d.UUID != fmt.Sprintf("00000000-0000-4000-8000-%012d", id)) {
				t.Errorf("%s: domain %d is %q, %s", release, id, d.Name, d.UUID)
			}
			got.Domains[i].Name, got.Domains[i].UUID = plain.Domains[i].Name, plain.Domains[i].UUID
		}
		plain.Host.Name, got.Host.Name = "", ""
		plain.Host.CommandLine, got.Host.CommandLine = opt.Value[string]{}, opt.Value[string]{}
		if diff := cmp.Diff(plain, got, options); diff != "" {
			t.Errorf("%s: plain (-) and redacted (+) differ:\n%s", release, diff)
		}
	}
}

// The ids of shared pools stand in a text whose length counts: such a capture
// has no hypercalls, and says so.
func TestRedactionLeavesSharedPoolsOut(t *testing.T) {
	x, live := hypervisor("4.12.4")
	x.Listing.Shared = append(x.Listing.Shared, xen.TmemPool{Shared: true, UUID: [2]uint64{0x1d9f7584e67911f1, 0x971d5fe415631a83}})
	rec := recorder(live)
	calls(t, rec.Seams())
	c := reopened(t, rec.Capture(begin, capture.Options{Redact: true}))
	if found := contains(t, c, "1d9f7584e67911f1"); len(found) > 0 {
		t.Errorf("found %q", found)
	}
	s := c.Seams()
	if s.Calls != nil {
		t.Error("there are hypercalls")
	}
	for path, want := range map[string]string{
		"/local/domain/0/name": "Domain-0", "/local/domain/1/name": "dom-1", "/local/domain/2/name": "dom-2",
		"/local/domain/1/memory/target": "262144",
	} {
		if got, err := s.Store.Read(t.Context(), path); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if !strings.Contains(c.Summary().String(), "hypercalls, for tmem has shared pools") {
		t.Errorf("summary: %s", c.Summary())
	}
	if again := recorder(s); again.Seams().Calls != nil {
		t.Error("a recording of it has hypercalls")
	}
}
