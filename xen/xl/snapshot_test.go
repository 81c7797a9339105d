package xl

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/units"
	"xtm/xen"
)

var update = flag.Bool("update", false, "write the golden snapshots anew")

var phases = []string{"4.12-t0-idle", "4.12-t1-load", "4.12-t3-late", "4.12-destroy", "4.12-builtin", "4.12-notmem", "4.17-modern"}

// Every recorded host gives the snapshot that was looked at once.
func TestSnapshots(t *testing.T) {
	for _, name := range phases {
		t.Run(name, func(t *testing.T) {
			got := snapshot(t, name)
			b, err := json.MarshalIndent(got, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(testdata(t, "golden", name+".json"), string(b)+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func snapshot(t *testing.T, name string) xen.Snapshot {
	t.Helper()
	fake, files := phase(t, name)
	got, err := New(fake.Run, hostfs.FromFS(files)).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The figures that the issue asks for, of the loaded host.
func TestLoadedHost(t *testing.T) {
	s := snapshot(t, "4.12-t1-load")
	want := map[string][2]units.KiB{
		"web1": {376892, 525312}, "db1": {323448, 410624}, "cache1": {77864, 197632},
		"idle1": {77864, 197632}, "plain1": {131072, 132096}, "Domain-0": {1042668, 1048576},
	}
	for _, d := range s.Domains {
		if got := [2]units.KiB{d.Current.Or(0), d.Limit.Or(0)}; got != want[d.Name] {
			t.Errorf("%s has %d of %d KiB, want %d", d.Name, got[0], got[1], want[d.Name])
		}
		delete(want, d.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	l, _ := s.Tmem.Get()
	if g, _ := l.Host.Get(); len(l.Clients) != 4 || g.FreeListPages.Or(0) != 255 || g.Ephemeral.Now.Or(0) != 165225 {
		t.Errorf("listing %+v", l)
	}
	if s.Host.Freeable.Has() {
		t.Error("xl's freeable is always 0 on 4.12: it is not to be taken")
	}
	if s.TmemState.Answer != xen.TmemOn {
		t.Errorf("tmem state %+v", s.TmemState)
	}
	if s.Begin != t0 || !s.End.After(s.Begin) || s.ListedAt.Before(s.Begin) || s.ListedAt.After(s.End) {
		t.Errorf("times %v, %v, %v", s.Begin, s.ListedAt, s.End)
	}
}

// xentop and the listing stand side by side, and nothing is run that has no
// use: no second xl list, no tmem-freeable that lies.
func TestOrder(t *testing.T) {
	fake, files := phase(t, "4.12-t0-idle")
	if _, err := New(fake.Run, hostfs.FromFS(files)).Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"xl list -v", "xl info", "xentop -b -f -i 1", "xl tmem-list -l -a", "xl uptime", "xl dmesg", "xl list -l",
		"xenstore-ls -f /local/domain/0/memory",
		"xenstore-ls -f /local/domain/1/memory", "xenstore-ls -f /local/domain/1/data",
	}
	calls := fake.Calls()
	if diff := cmp.Diff(want, calls[:len(want)]); diff != "" {
		t.Error(diff)
	}
	if len(calls) != 7+1+2*5 {
		t.Errorf("%d calls: %q", len(calls), calls)
	}
}

func TestNoTmemCommandsWithoutTmem(t *testing.T) {
	fake, files := phase(t, "4.17-modern")
	s, err := New(fake.Run, hostfs.FromFS(files)).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range fake.Calls() {
		if strings.Contains(c, "tmem") {
			t.Errorf("ran %q", c)
		}
	}
	if s.Tmem.Has() || s.TmemState.Answer != xen.TmemRemoved || !s.ListedAt.IsZero() {
		t.Errorf("%+v", s.TmemState)
	}
	if len(s.Gaps) != 1 || s.Gaps[0].What != "tmem listing" || s.Gaps[0].Cause != cause.NotSupported || !strings.Contains(s.Gaps[0].Why, "4.17.7") {
		t.Errorf("gaps %+v", s.Gaps)
	}
	if s.Domains[1].StaticMax.Or(0) != 524288 || s.Domains[1].Target.Or(0) != 262144 || s.Domains[1].Uptime.Or(0) != 2*time.Minute+51*time.Second {
		t.Errorf("web1: %+v", s.Domains[1])
	}
}
