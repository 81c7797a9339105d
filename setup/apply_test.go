package setup

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/run/runtest"
	"xtm/internal/statedir"

	"github.com/google/go-cmp/cmp"
)

func hostPlan(t *testing.T, m Machine) Plan {
	t.Helper()
	h, err := ProbeHost(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PlanHost(h, HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNoUpdateGRUB(t *testing.T) {
	m := machine(tree(t, hostFiles()), programs(t))
	p, before := hostPlan(t, m), live(t, m.Root)
	m.Run = runtest.New(m.Now()).Lacks("update-grub").Run
	if _, err := Apply(t.Context(), m, p); !errors.Is(err, cause.ErrNoData) || errors.Is(err, cause.ErrNotRestored) {
		t.Error(err)
	}
	if diff := cmp.Diff(before, live(t, m.Root)); diff != "" {
		t.Error(diff)
	}
}

func TestEditedDuringTheQuestion(t *testing.T) {
	m := machine(tree(t, hostFiles()), programs(t))
	p := hostPlan(t, m)
	inRoot(t, m, "/etc/default/grub", func(s string) string { return s + "# mine\n" })
	before := live(t, m.Root)
	if _, err := Apply(t.Context(), m, p); !errors.Is(err, edit.ErrChanged) {
		t.Error(err)
	}
	if diff := cmp.Diff(before, live(t, m.Root)); diff != "" {
		t.Error(diff)
	}
}

func TestOneRunAtATime(t *testing.T) {
	m := machine(tree(t, hostFiles()), programs(t))
	p := hostPlan(t, m)
	unlock, err := statedir.Lock(m.Root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); !errors.Is(err, statedir.ErrLocked) {
		t.Error(err)
	}
	unlock()
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Error(err)
	}
}

func TestOfflineRunsChrooted(t *testing.T) {
	m := machine(tree(t, hostFiles()), programs(t))
	m.Offline = true
	p := hostPlan(t, m)
	fake := runtest.New(m.Now()).Lacks("chroot")
	m.Run = fake.Run
	if _, err := Apply(t.Context(), m, p); err == nil {
		t.Error("no error")
	}
	if got, want := fake.Calls(), []string{"chroot " + string(m.Root) + " update-grub"}; !slices.Equal(got, want) {
		t.Errorf("ran %q", got)
	}
	// The fixture has a part of /sys and /proc, and nothing of /dev.
	if got := m.Missing(); !slices.Equal(got, []string{"/proc", "/sys", "/dev"}) {
		t.Errorf("missing: %q", got)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1024M": 1024, "2G": 2048, "3g": 3072, "": 0, "1024": 0, "G": 0, "-1G": 0, "1GM": 0, "99999999999G": 0} {
		got, err := ParseSize(text)
		if int64(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("/dev/xvda / ext4 defaults 0 1\n"))
	f.Add([]byte("/dev/xvda / ext4 defaults 0 1"))
	f.Add([]byte(""))
	f.Add([]byte("# /etc/modules\r\ntmem\r\nloop\r\n"))
	f.Add([]byte("tmem\nloop\ntmem"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, line := range []string{swapLine, "tmem"} {
			with := withLine(b, line)
			if without := withoutLine(with, line); !bytes.Equal(without, b) {
				t.Errorf("%q, with it %q, without it %q", b, with, without)
			}
		}
	})
}

func FuzzXenConfig(f *testing.F) {
	f.Add([]byte("#\n# Automatically generated file; DO NOT EDIT.\n# Xen/x86 4.17.7 Configuration\n#\nCONFIG_CC_IS_GCC=y\n"))
	f.Add([]byte("# Xen/x86 4.11.4 Configuration\nCONFIG_TMEM=y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, has := parseXenConfig(b)
		if has.Or(false) && v.Known() && !v.Before(4, 13) {
			t.Errorf("Xen %s has tmem", v)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"schema":1,"words":[{"variable":"GRUB_CMDLINE_XEN_DEFAULT","text":"tmem"}]}`))
	f.Add([]byte(`{"schema":1,"pending":{"began":"2026-11-22T15:04:05Z","files":[{"path":"/etc/default/grub"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && r.Schema != recordSchema {
			t.Errorf("schema %d", r.Schema)
		}
	})
}

func FuzzMemLine(f *testing.F) {
	f.Add([]byte("MemTotal:         240860 kB\nMemAvailable:     198436 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, ok := memLine(b, "MemTotal").Get(); ok && n < 0 {
			t.Error(n)
		}
	})
}
