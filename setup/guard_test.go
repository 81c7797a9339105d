package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/run/runtest"
	"xtm/internal/units"
)

// recordedGuest is a guest of the captures, as files of a root.
func recordedGuest(t *testing.T, name string) map[string]string {
	t.Helper()
	files := map[string]string{"proc/xen/capabilities": ""}
	for p, f := range guesttest.Files(t, map[string]string{
		"fresh": "xen-4.12/web1/0-before-modprobe", "web1": "xen-4.12/web1/1-after-setup",
		"noswap": "xen-4.12/cache1/1-after-setup", "notmem": "xen-4.12-notmem/web1/2-under-load",
	}[name]) {
		files[p] = string(f.Data)
	}
	files["proc/self/mounts"] = files["proc/mounts"]
	if name == "fresh" {
		files["lib/modules/4.19.0-tmemlab/modules.dep"] = "kernel/drivers/xen/tmem.ko:\n"
		files["lib/modules/4.19.0-tmemlab/kernel/drivers/xen/tmem.ko"] = "\x7fELF"
	}
	return files
}

// kernel is what a recorded guest's kernel does: it loads the module, counts the
// pages of a proof as its host lets it, and follows the balloon's target.
type kernel struct {
	t    *testing.T
	root hostfs.Root
	// puts and gets are the rises that a proof makes on this host; unreadable
	// hides the counters.
	puts, gets uint64
	unreadable bool
	// generous tells that the host gives memory back.
	generous bool
	forgot   bool
	log      []string
}

func (k *kernel) path(p string) string {
	k.t.Helper()
	full, err := k.root.Path(p)
	if err != nil {
		k.t.Fatal(err)
	}
	return full
}

func (k *kernel) read(p string) string {
	k.t.Helper()
	b, err := os.ReadFile(k.path(p))
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (k *kernel) write(p, text string) {
	k.t.Helper()
	if err := os.MkdirAll(filepath.Dir(k.path(p)), 0o755); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(k.path(p), []byte(text+"\n"), 0o644); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) Counters() (guest.CleancacheCounters, error) {
	if k.unreadable {
		return guest.CleancacheCounters{}, os.ErrPermission
	}
	mounts, err := guest.ReadMounts(k.root)
	if err != nil {
		return guest.CleancacheCounters{}, err
	}
	return guest.ReadCleancacheCounters(k.root, mounts)
}

func (k *kernel) ReadFile(string, units.Bytes) error {
	if !k.forgot {
		return nil
	}
	k.forgot = false
	if on := k.read(guest.BalloonDir + "/" + guest.Selfballoon); on != "0" {
		k.t.Error("selfballooning was on during the proof")
	}
	for name, rise := range map[string]uint64{"puts": k.puts, "succ_gets": k.gets} {
		file := "/sys/kernel/debug/cleancache/" + name
		n, err := strconv.ParseUint(k.read(file), 10, 64)
		if err != nil {
			k.t.Fatal(err)
		}
		k.write(file, strconv.FormatUint(n+rise, 10))
	}
	return nil
}

func (k *kernel) Forget(string, units.Bytes) error {
	k.forgot = true
	return nil
}

func (k *kernel) program(c run.Cmd) (runtest.Answer, bool) {
	k.log = append(k.log, c.String())
	if c.Name != "modprobe" {
		return runtest.Answer{}, false
	}
	// What xen_selfballoon_init does of itself.
	on := "1"
	if slices.Contains(c.Args, "selfballooning=0") {
		on = "0"
	}
	k.write("/sys/module/tmem/initstate", "live")
	for _, p := range []string{"cleancache", "frontswap"} {
		k.write("/sys/module/tmem/parameters/"+p, "Y")
	}
	k.write(guest.BalloonDir+"/"+guest.Selfballoon, on)
	return runtest.Answer{}, true
}

func (k *kernel) guest() Guest {
	return Guest{
		Machine: Machine{
			Root: k.root, Run: runtest.New(time.Time{}).Else(k.program).Run,
			Now: func() time.Time { return time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC) },
		},
		Proof: k, Choose: func(context.Context, []guest.FileSystem) []string { return []string{"/mnt/file"} },
		BlockSize: func(string) (units.Bytes, error) { return 4096, nil },
		Target:    func(context.Context) (units.KiB, error) { return 262144, nil },
		Wait: func(context.Context, time.Duration) error {
			if k.generous {
				k.write(guest.BalloonDir+"/info/current_kb", k.read(guest.BalloonDir+"/target_kb"))
			}
			return nil
		},
	}
}

func (k *kernel) setting(name string) string { return k.read(guest.BalloonDir + "/" + name) }

func TestGuard(t *testing.T) {
	shrunk := map[string]string{
		// What this guest shrank to in the capture.
		"sys/devices/system/xen_memory/xen_memory0/info/current_kb": "162832\n",
		"sys/devices/system/xen_memory/xen_memory0/target_kb":       "162832\n",
	}
	for _, tc := range []struct {
		name     string
		recorded string
		change   map[string]string
		kernel   kernel
		noSwap   bool
		on       bool
		outcome  guest.Outcome
		why      string
		current  string
		did      string
	}{
		{
			name: "tmem in the host, freshly booted, no swap", recorded: "fresh", kernel: kernel{puts: 256, gets: 256},
			outcome: guest.Proved, why: "no swap area is active", current: "262144", did: "selfballooning is off",
		},
		{
			name: "the same with --no-swap", recorded: "fresh", kernel: kernel{puts: 256, gets: 256}, noSwap: true,
			on: true, outcome: guest.Proved, current: "262144", did: "reserved",
		},
		{
			name: "web1 of xen-4.12", recorded: "web1", kernel: kernel{puts: 256, gets: 256},
			on: true, outcome: guest.Proved, current: "262144", did: "selfballooning is on",
		},
		{
			name: "web1 of xen-4.12-notmem has shrunk", recorded: "notmem", change: shrunk, kernel: kernel{generous: true},
			outcome: guest.NoPool, why: "0 went out and 0 came back", current: "262144", did: "back at 262,144 KiB",
		},
		{
			name: "the host does not give the memory back", recorded: "notmem", change: shrunk, kernel: kernel{},
			outcome: guest.NoPool, current: "162832", did: "has not given the rest back",
		},
		{
			name: "blocks of 1 KiB", recorded: "web1", kernel: kernel{puts: 256},
			outcome: guest.NoHits, why: "smaller than a page", current: "262144",
		},
		{
			name: "counters that cannot be read", recorded: "web1", kernel: kernel{unreadable: true},
			outcome: guest.Unclear, why: "permission denied", current: "262144",
		},
		{
			name: "cache1, no swap", recorded: "noswap", kernel: kernel{puts: 256, gets: 256},
			outcome: guest.Proved, why: "no swap area", current: "196608",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := recordedGuest(t, tc.recorded)
			maps.Copy(files, tc.change)
			k := tc.kernel
			k.t, k.root = t, tree(t, files)
			g := k.guest()
			if tc.recorded == "noswap" {
				g.Target = func(context.Context) (units.KiB, error) { return 196608, nil }
			}
			out, err := g.Guard(t.Context(), tc.noSwap)
			if err != nil {
				t.Fatal(err)
			}
			if out.On != tc.on || out.Proof.Outcome != tc.outcome || !strings.Contains(out.Why, tc.why) {
				t.Errorf("on %t, %s, %q", out.On, out.Proof.Outcome, out.Why)
			}
			if got, want := k.setting(guest.Selfballoon), map[bool]string{true: "1", false: "0"}[tc.on]; got != want {
				t.Errorf("selfballooning is %s", got)
			}
			if tc.on && k.setting(guest.SelfballoonReserve) == "0" {
				t.Error("nothing is reserved")
			}
			if got := k.setting("info/current_kb"); got != tc.current {
				t.Errorf("the guest has %s KiB, want %s", got, tc.current)
			}
			if !strings.Contains(strings.Join(out.Did, "; "), tc.did) {
				t.Errorf("did %q", out.Did)
			}
			if tc.recorded == "fresh" && !slices.Contains(k.log, "modprobe tmem selfballooning=0 selfshrinking=0") {
				t.Errorf("ran %q", k.log)
			}
		})
	}
}

// TestGuardRefuses: releases of Linux and Xen that decide.
func TestGuardRefuses(t *testing.T) {
	for _, tc := range []struct {
		linux, xenMinor string
		config          string
		want            cause.Kind
		why             string
	}{
		{"3.2.0-4-amd64", "12", "CONFIG_CLEANCACHE=y\nCONFIG_XEN_TMEM=y\n", cause.Blocked, "not on its command line"},
		{"3.9.6", "12", "CONFIG_CLEANCACHE=y\nCONFIG_XEN_TMEM=y\n", cause.Blocked, "not on its command line"},
		{"3.13.0-170-generic", "12", "", "", ""},
		{"4.15.0-213-generic", "11", "", "", ""},
		{"5.2.1", "4", "", "", ""},
		{"5.4.0-42-generic", "11", "", cause.Impossible, "removed in 5.3"},
		{"6.1.0-56-amd64", "11", "", cause.Impossible, "removed in 5.3"},
		{"4.19.0-27-amd64", "13", "", cause.Impossible, "removed in 4.13"},
		{"4.19.0-27-amd64", "17", "", cause.Impossible, "removed in 4.13"},
	} {
		t.Run(fmt.Sprintf("Linux %s on 4.%s", tc.linux, tc.xenMinor), func(t *testing.T) {
			files := recordedGuest(t, "web1")
			if tc.config != "" {
				maps.DeleteFunc(files, func(p, _ string) bool { return strings.HasPrefix(p, "sys/module/tmem") })
			}
			files["proc/sys/kernel/osrelease"] = tc.linux + "\n"
			files["sys/hypervisor/version/minor"] = tc.xenMinor + "\n"
			files["boot/config-"+tc.linux] = tc.config
			s := guest.Read(tree(t, files), nil)
			err := mayGuard(s)
			var got cause.Kind
			text := ""
			if r, ok := errors.AsType[*cause.RefusalError](err); ok {
				got, text = r.Kind, r.Error()
				if len(r.Ways) == 0 {
					t.Error("no way on")
				}
			}
			if got != tc.want || !strings.Contains(text, tc.why) {
				t.Errorf("%q: %v", got, err)
			}
		})
	}
}

// TestGuardOnXenWithoutTmem: what shrinks there is ended, and refused then.
func TestGuardOnXenWithoutTmem(t *testing.T) {
	files := recordedGuest(t, "notmem")
	files["sys/hypervisor/version/minor"] = "17\n"
	k := kernel{t: t, root: tree(t, files), generous: true}
	g := k.guest()
	g.Target = func(context.Context) (units.KiB, error) { return 400000, nil }
	out, err := g.Guard(t.Context(), false)
	if r, ok := errors.AsType[*cause.RefusalError](err); !ok || r.Kind != cause.Impossible || out.On {
		t.Errorf("%+v, %v", out, err)
	}
	if on, now := k.setting(guest.Selfballoon), k.setting("info/current_kb"); on != "0" || now != "400000" {
		t.Errorf("selfballooning is %s, and the guest has %s KiB", on, now)
	}
}

func TestGuestStatus(t *testing.T) {
	for _, tc := range []struct {
		recorded   string
		puts, gets uint64
		want       map[string]finding.Verdict
	}{
		{"web1", 256, 256, map[string]finding.Verdict{
			"guest-driver": finding.Good, "guest-selfballooning": finding.Note, "guest-proof": finding.Good, "guest-guard": finding.Note,
		}},
		{"notmem", 0, 0, map[string]finding.Verdict{
			"guest-driver": finding.Good, "guest-proof": finding.Bad,
		}},
		{"fresh", 0, 0, map[string]finding.Verdict{"guest-driver": finding.Bad, "guest-swap": finding.Bad}},
	} {
		t.Run(tc.recorded, func(t *testing.T) {
			files := recordedGuest(t, tc.recorded)
			files["sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballooning"] = "0\n"
			k := kernel{t: t, root: tree(t, files), puts: tc.puts, gets: tc.gets}
			g := k.guest()
			s, err := GuestStatus(t.Context(), k.root, &g)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]finding.Verdict{}
			for _, f := range s.Findings {
				got[f.Check] = f.Verdict
			}
			for check, want := range tc.want {
				if got[check] != want {
					t.Errorf("%s is %s, want %s", check, got[check], want)
				}
			}
		})
	}
	// On, with nothing behind it: dangerous, whatever the kernel says.
	root := tree(t, recordedGuest(t, "notmem"))
	s, err := GuestStatus(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if finding.Worst(s.Findings) != finding.Dangerous {
		t.Errorf("a guest that shrinks without a pool is %s", finding.Worst(s.Findings))
	}
}
