package guest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
)

// recorded reads a moment of a guest whose file systems have the given blocks.
func recorded(t *testing.T, moment string, block units.Bytes, edits ...func(fstest.MapFS)) guest.State {
	t.Helper()
	m := guesttest.Files(t, moment)
	for _, edit := range edits {
		edit(m)
	}
	return guest.Read(hostfs.FromFS(m), func(string) (units.Bytes, error) { return block, nil })
}

// verdicts are the findings as "check verdict", without the prefix of their names.
func verdicts(fs []finding.Finding) string {
	var out []string
	for _, f := range fs {
		out = append(out, strings.TrimPrefix(f.Check, "guest-")+" "+string(f.Verdict))
	}
	return strings.Join(out, "\n")
}

func find(t *testing.T, fs []finding.Finding, check string) finding.Finding {
	t.Helper()
	for _, f := range fs {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no %s among\n%s", check, verdicts(fs))
	return finding.Finding{}
}

func put(name, text string) func(fstest.MapFS) {
	return func(m fstest.MapFS) { guesttest.Put(m, name, text) }
}

func remove(name string) func(fstest.MapFS) {
	return func(m fstest.MapFS) { guesttest.Remove(m, name) }
}

func TestChainOfCaptures(t *testing.T) {
	for moment, want := range map[string]string{
		"xen-4.12/web1/1-after-setup": `xen good
kernel good
driver good
swap good
file-systems good
cleancache good
frontswap good
counters note
selfballooning dangerous`, // nothing has come back yet
		"xen-4.12/web1/2-under-load": `xen good
kernel good
driver good
swap good
file-systems good
cleancache good
frontswap good
counters good
selfballooning good`,
		"xen-4.12/cache1/3-after-load": `xen good
kernel good
driver good
swap bad
file-systems good
cleancache good
frontswap good
counters good
selfballooning good`,
		"xen-4.12/plain1/2-under-load": `xen good
kernel good
driver could_not_tell
swap bad
file-systems good
cleancache could_not_tell
frontswap could_not_tell
counters note
selfballooning note`,
		"xen-4.12-notmem/web1/2-under-load": `xen good
kernel good
driver good
swap good
file-systems good
cleancache good
frontswap good
counters bad
selfballooning dangerous`,
		"xen-4.12-builtin/plain1/builtin-no-param": `xen good
kernel good
driver bad
swap bad
file-systems good
cleancache bad
frontswap bad
counters note
selfballooning note`,
		"xen-4.12-builtin/plain1/builtin-with-tmem-param": `xen good
kernel good
driver good
swap bad
file-systems good
cleancache good
frontswap good
counters note
selfballooning dangerous`,
		"xen-4.17/web1/2-idle": `xen bad
kernel good
selfballooning dangerous`,
	} {
		got := guest.Chain(recorded(t, moment, 4096))
		if diff := cmp.Diff(want, verdicts(got)); diff != "" {
			t.Errorf("%s:\n%s", moment, diff)
		}
		for _, f := range got {
			if f.Seen == "" || f.Subject == "" || f.Verdict.Problem() && f.Advice == "" && len(f.Commands) == 0 {
				t.Errorf("%s: a finding without what was seen or what to do: %+v", moment, f)
			}
		}
	}
}

// The figures that a reader needs are in the sentences.
func TestChainSays(t *testing.T) {
	got := guest.Chain(recorded(t, "xen-4.12-notmem/web1/2-under-load", 4096))
	if f := find(t, got, guest.CheckCounters); !strings.Contains(f.Seen, "0 of 109,564 swapped pages were taken") {
		t.Error(f.Seen)
	}
	f := find(t, got, guest.CheckSelfballooning)
	if !strings.Contains(f.Seen, "the guest has 361,456 KiB and its target is 361,456 KiB") || len(f.Commands) != 1 {
		t.Errorf("%+v", f)
	}
	got = guest.Chain(recorded(t, "xen-4.17/web1/2-idle", 4096))
	if f := find(t, got, guest.CheckXen); f.Seen != "Xen 4.17.7 has no tmem any more: it was removed in 4.13" {
		t.Error(f.Seen)
	}
	f = find(t, got, guest.CheckSelfballooning)
	if diff := cmp.Diff([]string{"xtm guard"}, f.Commands); diff != "" {
		t.Error(diff)
	}
}

// With 1 KiB blocks nothing comes back, and without root nothing can be told.
func TestChainOfEdits(t *testing.T) {
	const load = "xen-4.12/web1/2-under-load"
	zones := guesttest.Files(t, "xen-4.12-selfballoon/web1/8")["proc/zoneinfo"].Data
	enabled := put("/sys/module/zswap/parameters/enabled", "Y\n")
	shown := put("/sys/module/zswap/parameters/max_pool_percent", "20\n")
	for name, tt := range map[string]struct {
		state guest.State
		check string
		want  finding.Verdict
		seen  string
	}{
		"1 KiB blocks":    {recorded(t, load, 1024), guest.CheckFileSystems, finding.Warning, "cleancache serves none of the mounted file systems: /out (ext4), /mnt (ext4)"},
		"a recording":     {read(guesttest.Files(t, load)), guest.CheckFileSystems, finding.CouldNotTell, "it is not known whether"},
		"sixteen of them": {recorded(t, load, 4096, put("/proc/mounts", manyMounts(16))), guest.CheckFileSystems, finding.Note, "16 file systems want a pool"},
		"fifteen of them": {recorded(t, load, 4096, put("/proc/mounts", manyMounts(15))), guest.CheckFileSystems, finding.Good, "cleancache serves /m0 (ext4)"},
		"no swap":         {recorded(t, "xen-4.12/cache1/2-under-load", 4096, put("/proc/zoneinfo", string(zones))), guest.CheckSwap, finding.Bad, "no swap area is active"},
		"zswap of 3.13": {
			recorded(t, load, 4096, put("/proc/sys/kernel/osrelease", "3.13.0-170-generic\n"), shown, put("/proc/cmdline", "zswap.enabled=1\n")),
			guest.CheckZswap, finding.Warning, "replaced the other",
		},
		"zswap of 3.13, not known": {
			recorded(t, load, 4096, put("/proc/sys/kernel/osrelease", "3.13.0-170-generic\n"), shown, remove("/proc/cmdline")),
			guest.CheckZswap, finding.CouldNotTell, "/proc/cmdline",
		},
		"zswap":              {recorded(t, load, 4096, enabled), guest.CheckZswap, finding.Warning, "registered last is offered"},
		"swap that is large": {recorded(t, load, 4096, put("/proc/zoneinfo", string(zones))), guest.CheckSwap, finding.Good, "selfballooning can take 419,256 KiB away"},
		"swap that is small": {
			recorded(t, load, 4096, put("/proc/zoneinfo", string(zones)), put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/xvdb partition 131068 0 -2\n")),
			guest.CheckSwap, finding.Warning, "131,068 KiB of swap, and selfballooning can take 419,256 KiB away",
		},
		"swaps not read":     {recorded(t, load, 4096, remove("/proc/swaps")), guest.CheckSwap, finding.CouldNotTell, "could not be read"},
		"mounts not read":    {recorded(t, load, 4096, remove("/proc/mounts")), guest.CheckFileSystems, finding.CouldNotTell, "could not be read"},
		"no debugfs":         {recorded(t, load, 4096, remove("/sys/kernel/debug"), put("/proc/mounts", "proc /proc proc rw 0 0\n")), guest.CheckCounters, finding.CouldNotTell, "debugfs is not mounted"},
		"no debugfs, on":     {recorded(t, load, 4096, remove("/sys/kernel/debug")), guest.CheckSelfballooning, finding.CouldNotTell, "Whether a pool stands behind it is not known"},
		"Xen not read":       {recorded(t, load, 4096, remove("/sys/hypervisor")), guest.CheckXen, finding.CouldNotTell, "could not be read"},
		"release not read":   {recorded(t, load, 4096, remove("/proc/sys"), remove("/proc/version")), guest.CheckKernel, finding.CouldNotTell, "could not be read"},
		"Xen 3.4":            {recorded(t, load, 4096, put("/sys/hypervisor/version/major", "3\n")), guest.CheckXen, finding.Bad, "it came with 4.0"},
		"module on disk":     {recorded(t, load, 4096, remove("/sys/module"), put("/lib/modules/4.19.0-tmemlab/modules.dep", "kernel/drivers/xen/tmem.ko.xz:\n")), guest.CheckDriver, finding.Bad, "kernel/drivers/xen/tmem.ko.xz) and not loaded"},
		"module missing":     {recorded(t, load, 4096, remove("/sys/module"), put("/lib/modules/4.19.0-tmemlab/modules.dep", "")), guest.CheckDriver, finding.Bad, "not installed"},
		"no command line":    {recorded(t, "xen-4.12-builtin/plain1/builtin-no-param", 4096, remove("/proc/cmdline")), guest.CheckDriver, finding.CouldNotTell, "command line could not be read"},
		"frontswap kept off": {recorded(t, load, 4096, put("/sys/module/tmem/parameters/frontswap", "N\n")), guest.CheckFrontswap, finding.Bad, "frontswap=N"},
	} {
		f := find(t, guest.Chain(tt.state), tt.check)
		if f.Verdict != tt.want || !strings.Contains(f.Seen, tt.seen) {
			t.Errorf("%s: %s, %s", name, f.Verdict, f.Seen)
		}
	}
	f := find(t, guest.Chain(recorded(t, load, 4096, put("/proc/zoneinfo", string(zones)))), guest.CheckSelfballooning)
	if !strings.Contains(f.Seen, "of 523,900 KiB at most") || len(f.Evidence) != 5 {
		t.Errorf("%+v", f)
	}
	f = find(t, guest.Chain(recorded(t, "xen-4.12/cache1/2-under-load", 4096, put("/proc/zoneinfo", string(zones)))), guest.CheckSwap)
	if !strings.Contains(f.Advice, "523,900 KiB, the guest's maximum memory") {
		t.Error(f.Advice)
	}
}

func manyMounts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "/dev/xvd%d /m%d ext4 rw 0 0\n", i, i)
	}
	return b.String()
}

// Kernels by their configuration, in a guest that shows nothing else.
func TestChainOfKernels(t *testing.T) {
	for name, tt := range map[string]struct {
		release  string
		config   []string
		verdict  finding.Verdict
		seen     string
		commands []string
	}{
		"Debian 10": {
			"4.19.0-27-amd64", debian, finding.Warning,
			"/boot/config-4.19.0-27-amd64 lacks CONFIG_CLEANCACHE, CONFIG_XEN_SELFBALLOONING, and without that there is no cleancache, no selfballooning",
			[]string{"xtm kernel check --release 4.19.0-27-amd64", "xtm kernel build --profile tmem"},
		},
		"Debian 7": {
			"3.2.0-4-amd64",
			[]string{xen, "# CONFIG_CLEANCACHE is not set"},
			finding.Bad, "lacks CONFIG_XEN_TMEM, CONFIG_CLEANCACHE",
			[]string{"xtm kernel check --release 3.2.0-4-amd64", "xtm kernel build --profile tmem"},
		},
		"Ubuntu 18.04":    {"4.15.0-213-generic", ubuntu, finding.Good, "has all that tmem needs: cleancache, frontswap, selfballooning", nil},
		"Ubuntu 20.04":    {"5.4.0-150-generic", ubuntu, finding.Bad, "Linux 5.4.0-150-generic has no tmem driver any more: it was removed in 5.3", nil},
		"Debian 12":       {"6.1.0-44-amd64", ubuntu, finding.Bad, "removed in 5.3", nil},
		"Debian 6":        {"2.6.32-5-amd64", ubuntu, finding.Bad, "it came with 3.0", nil},
		"the last driver": {"5.2.0", ubuntu, finding.Good, "has all", nil},
		"3.9":             {"3.9.6", builtIn, finding.Good, "has all", nil},
	} {
		f := find(t, guest.Chain(configured(t, tt.release, tt.config...)), guest.CheckKernel)
		if f.Verdict != tt.verdict || !strings.Contains(f.Seen, tt.seen) || !cmp.Equal(f.Commands, tt.commands) {
			t.Errorf("%s: %s, %s, %q", name, f.Verdict, f.Seen, f.Commands)
		}
	}
	// What a kernel cannot have is not looked for.
	got := verdicts(guest.Chain(configured(t, "4.19.0-27-amd64", debian...)))
	want := `xen could_not_tell
kernel warning
driver could_not_tell
swap could_not_tell
frontswap could_not_tell
counters could_not_tell`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPossible(t *testing.T) {
	for name, tt := range map[string]struct {
		state guest.State
		want  guest.Answer
	}{
		"Xen 4.12, Linux 4.19": {recorded(t, "xen-4.12/web1/1-after-setup", 4096), guest.Yes},
		"Xen 4.17":             {recorded(t, "xen-4.17/web1/2-idle", 4096), guest.No},
		"Linux 6.1":            {recorded(t, "xen-4.12/web1/1-after-setup", 4096, put("/proc/sys/kernel/osrelease", "6.1.0-44-amd64\n")), guest.No},
		"Linux 5.2":            {recorded(t, "xen-4.12/web1/1-after-setup", 4096, put("/proc/sys/kernel/osrelease", "5.2.0\n")), guest.Yes},
		"Xen not known":        {recorded(t, "xen-4.12/web1/1-after-setup", 4096, remove("/sys/hypervisor")), guest.CouldNotTell},
		"kernel not known":     {recorded(t, "xen-4.12/web1/1-after-setup", 4096, remove("/proc/sys"), remove("/proc/version")), guest.CouldNotTell},
		"nothing":              {guest.State{}, guest.CouldNotTell},
	} {
		if got, why := tt.state.Possible(); got != tt.want || why == "" {
			t.Errorf("%s: %s (%s)", name, got, why)
		}
	}
}

// Two readings tell more than one, and a proof more than both.
func TestPool(t *testing.T) {
	setup, load := recorded(t, "xen-4.12/web1/1-after-setup", 4096), recorded(t, "xen-4.12/web1/2-under-load", 4096)
	notmem := recorded(t, "xen-4.12-notmem/web1/2-under-load", 4096)
	modern := recorded(t, "xen-4.17/web1/2-idle", 4096)
	later := func(s guest.State, earlier guest.Counters) guest.State {
		s.Earlier = opt.Of(earlier)
		return s
	}
	proved := func(s guest.State, o guest.Outcome) guest.State {
		s.Proof = opt.Of(guest.Proof{Outcome: o, Why: "as told"})
		return s
	}
	for name, tt := range map[string]struct {
		state    guest.State
		pool     guest.Answer
		counters finding.Verdict
		self     finding.Verdict
	}{
		"pages came back":                {load, guest.Yes, finding.Good, finding.Good},
		"nothing came back yet":          {setup, guest.CouldNotTell, finding.Note, finding.Dangerous},
		"they came back in between":      {later(load, setup.Counters), guest.Yes, finding.Good, finding.Good},
		"a quiet interval":               {later(load, load.Counters), guest.Yes, finding.Note, finding.Good},
		"only failures in between":       {later(notmem, setup.Counters), guest.CouldNotTell, finding.Bad, finding.Dangerous},
		"the guest restarted in between": {later(setup, load.Counters), guest.CouldNotTell, finding.Note, finding.Dangerous},
		"proved":                         {proved(setup, guest.Proved), guest.Yes, finding.Note, finding.Good},
		"proved that there is none":      {proved(load, guest.NoPool), guest.No, finding.Good, finding.Dangerous},
		"a proof without result":         {proved(setup, guest.Unclear), guest.CouldNotTell, finding.Note, finding.Dangerous},
		"a proof without result, load":   {proved(load, guest.NoHits), guest.Yes, finding.Good, finding.Good},
	} {
		if pool, why := tt.state.Pool(); pool != tt.pool || why == "" {
			t.Errorf("%s: %s (%s)", name, pool, why)
		}
		got := guest.Chain(tt.state)
		if f := find(t, got, guest.CheckCounters); f.Verdict != tt.counters {
			t.Errorf("%s: %s, %s", name, f.Verdict, f.Seen)
		}
		if f := find(t, got, guest.CheckSelfballooning); f.Verdict != tt.self {
			t.Errorf("%s: %s, %s", name, f.Verdict, f.Seen)
		}
	}
	if pool, why := modern.Pool(); pool != guest.No {
		t.Errorf("Xen 4.17: %s (%s)", pool, why)
	}
	// One command proves it, or ends what shrinks.
	for _, state := range []guest.State{proved(setup, guest.Unclear), setup} {
		if f := find(t, guest.Chain(state), guest.CheckSelfballooning); !cmp.Equal(f.Commands, []string{"xtm guard"}) {
			t.Errorf("%q", f.Commands)
		}
	}
}
