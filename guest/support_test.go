package guest_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/hostfs"
)

// configured is a kernel that is known by its configuration alone.
func configured(t *testing.T, release string, lines ...string) guest.State {
	t.Helper()
	m := fstest.MapFS{}
	guesttest.Put(m, "/proc/sys/kernel/osrelease", release+"\n")
	guesttest.Put(m, "/boot/config-"+release, strings.Join(lines, "\n")+"\n")
	return read(m)
}

func read(m fstest.MapFS) guest.State { return guest.Read(hostfs.FromFS(m), nil) }

var (
	xen     = "CONFIG_XEN=y\nCONFIG_XEN_BALLOON=y\nCONFIG_SWAP=y"
	ubuntu  = []string{xen, "CONFIG_CLEANCACHE=y", "CONFIG_FRONTSWAP=y", "CONFIG_XEN_TMEM=m", "CONFIG_XEN_SELFBALLOONING=y", "CONFIG_ZSWAP=y"}
	debian  = []string{xen, "# CONFIG_CLEANCACHE is not set", "CONFIG_FRONTSWAP=y", "CONFIG_XEN_TMEM=m", "CONFIG_ZSWAP=y"}
	suse    = []string{xen, "CONFIG_CLEANCACHE=y", "CONFIG_FRONTSWAP=y", "CONFIG_XEN_TMEM=m", "# CONFIG_XEN_SELFBALLOONING is not set"}
	builtIn = []string{xen, "CONFIG_CLEANCACHE=y", "CONFIG_FRONTSWAP=y", "CONFIG_XEN_TMEM=y", "CONFIG_XEN_SELFBALLOONING=y"}
)

// The configurations are of the shape that reference configurations of these
// distributions have.
func TestSupport(t *testing.T) {
	const y, n = guest.Yes, guest.No
	for _, tt := range []struct {
		release                 string
		config                  []string
		whole, cc, fs, selfball guest.Answer
		missing                 string
	}{
		{"3.0.0", []string{xen, "CONFIG_CLEANCACHE=y"}, y, y, n, n, ""},
		{"3.2.0-4-amd64", []string{xen, "# CONFIG_CLEANCACHE is not set"}, n, n, n, n, "XEN_TMEM CLEANCACHE XEN_SELFBALLOONING"},
		{"3.2.0-own", []string{xen, "CONFIG_CLEANCACHE=y", "CONFIG_XEN_TMEM=y", "CONFIG_XEN_SELFBALLOONING=y"}, y, y, n, y, ""},
		{"3.9.6", builtIn, y, y, y, y, ""},
		{"3.9.6-noswap", []string{"CONFIG_XEN=y", "CONFIG_CLEANCACHE=y", "CONFIG_XEN_TMEM=y", "# CONFIG_SWAP is not set"}, n, y, n, n, "FRONTSWAP SWAP XEN_BALLOON XEN_SELFBALLOONING"},
		{"3.13.0-170-generic", ubuntu, y, y, y, y, ""},
		{"4.15.0-213-generic", ubuntu, y, y, y, y, ""},
		{"4.12.14-122.37-default", suse, n, y, y, n, "XEN_SELFBALLOONING"},
		{"4.19.0-27-amd64", debian, n, n, y, n, "CLEANCACHE XEN_SELFBALLOONING"},
		{"5.2.14", ubuntu, y, y, y, y, ""},
		{"5.4.0-150-generic", []string{xen, "CONFIG_FRONTSWAP=y", "CONFIG_ZSWAP=y"}, n, n, n, n, ""},
		{"6.1.0-44-amd64", []string{xen, "CONFIG_FRONTSWAP=y", "CONFIG_ZSWAP=y"}, n, n, n, n, ""},
		{"2.6.32-5-amd64", []string{xen}, n, n, n, n, ""},
	} {
		s := configured(t, tt.release, tt.config...).Support()
		want := map[guest.Part]guest.Answer{guest.Cleancache: tt.cc, guest.Frontswap: tt.fs, guest.Selfballooning: tt.selfball}
		if diff := cmp.Diff(want, s.Answers); diff != "" {
			t.Errorf("%s:\n%s", tt.release, diff)
		}
		if s.Whole() != tt.whole || strings.Join(s.Missing, " ") != tt.missing {
			t.Errorf("%s: %s, lacks %v", tt.release, s.Whole(), s.Missing)
		}
	}
}

// Where there is no configuration, the running kernel tells.
func TestSupportWithoutConfiguration(t *testing.T) {
	without := func(moment string, remove ...string) guest.State {
		m := guesttest.Files(t, moment)
		guesttest.Remove(m, "/boot")
		for _, r := range remove {
			guesttest.Remove(m, r)
		}
		return read(m)
	}
	s := without("xen-4.12/web1/1-after-setup").Support()
	if s.Whole() != guest.Yes || s.Source != "what the running kernel shows" {
		t.Errorf("web1: %s by %s, not known: %v", s.Whole(), s.Source, s.NotKnown)
	}
	// Before modprobe nothing tells of the driver, and nothing of swap.
	s = without("xen-4.12/web1/0-before-modprobe").Support()
	if diff := cmp.Diff([]string{"XEN_TMEM", "SWAP"}, s.NotKnown); diff != "" || s.Whole() != guest.CouldNotTell {
		t.Errorf("%s: %s", s.Whole(), diff)
	}
	// A loaded module without the parameter was built without the symbol, and a
	// balloon driver without the folder without selfballooning: Debian's case.
	s = without("xen-4.12/web1/1-after-setup", "/sys/module/tmem/parameters/cleancache", "/sys/kernel/debug/cleancache",
		"/sys/module/tmem/parameters/selfballooning", "/sys/devices/system/xen_memory/xen_memory0/selfballoon").Support()
	if diff := cmp.Diff([]string{"CLEANCACHE", "XEN_SELFBALLOONING"}, s.Missing); diff != "" {
		t.Error(diff)
	}
	// What modules.dep lacks may be built in where the driver never was a module.
	for release, want := range map[string]guest.Answer{"3.9.6": guest.CouldNotTell, "4.19.0": guest.No} {
		m := fstest.MapFS{}
		guesttest.Put(m, "/proc/sys/kernel/osrelease", release)
		guesttest.Put(m, "/lib/modules/"+release+"/modules.dep", "kernel/drivers/xen/xen-evtchn.ko:\n")
		if got := read(m).Support().Answers[guest.Frontswap]; got != want {
			t.Errorf("Linux %s without the module: %s", release, got)
		}
	}
	if (guest.State{}).Support().Whole() != guest.CouldNotTell {
		t.Error("nothing is known of a kernel, and it was judged")
	}
}

func TestRegistered(t *testing.T) {
	files := func(moment string, edit func(fstest.MapFS)) guest.State {
		m := guesttest.Files(t, moment)
		if edit != nil {
			edit(m)
		}
		return read(m)
	}
	cmdline := func(line string) func(fstest.MapFS) {
		return func(m fstest.MapFS) { guesttest.Put(m, "/proc/cmdline", line) }
	}
	old := func(line string) guest.State {
		m := fstest.MapFS{}
		guesttest.Put(m, "/proc/sys/kernel/osrelease", "3.9.6\n")
		guesttest.Put(m, "/boot/config-3.9.6", strings.Join(builtIn, "\n"))
		guesttest.Put(m, "/proc/cmdline", line)
		return read(m)
	}
	for name, tt := range map[string]struct {
		state  guest.State
		cc, fs guest.Answer
	}{
		"loaded": {files("xen-4.12/web1/1-after-setup", nil), guest.Yes, guest.Yes},
		"loaded without frontswap": {files("xen-4.12/web1/1-after-setup", func(m fstest.MapFS) {
			guesttest.Put(m, "/sys/module/tmem/parameters/frontswap", "N\n")
		}), guest.Yes, guest.No},
		"no trace of the module": {files("xen-4.12/web1/0-before-modprobe", nil), guest.CouldNotTell, guest.CouldNotTell},
		"not loaded": {files("xen-4.12/web1/0-before-modprobe", func(m fstest.MapFS) {
			guesttest.Put(m, "/lib/modules/4.19.0-tmemlab/modules.dep", "kernel/drivers/xen/tmem.ko:\n")
		}), guest.No, guest.No},
		"built in, off":               {files("xen-4.12-builtin/plain1/builtin-no-param", nil), guest.No, guest.No},
		"built in, on":                {files("xen-4.12-builtin/plain1/builtin-with-tmem-param", nil), guest.Yes, guest.Yes},
		"built in, a parameter only":  {files("xen-4.12-builtin/plain1/builtin-no-param", cmdline("tmem.frontswap=1")), guest.No, guest.No},
		"built in, command line gone": {files("xen-4.12-builtin/plain1/builtin-no-param", func(m fstest.MapFS) { guesttest.Remove(m, "/proc/cmdline") }), guest.CouldNotTell, guest.CouldNotTell},
		"3.9":                         {old("ro quiet tmem"), guest.Yes, guest.Yes},
		"3.9 without the word":        {old("ro quiet"), guest.No, guest.No},
		"3.9 nocleancache":            {old("tmem nocleancache"), guest.No, guest.Yes},
		"3.9 nofrontswap":             {old("tmem nofrontswap"), guest.Yes, guest.No},
		"Debian's":                    {configured(t, "4.19.0-27-amd64", debian...), guest.No, guest.CouldNotTell},
	} {
		cc, ccWhy := tt.state.Registered(guest.Cleancache)
		fs, fsWhy := tt.state.Registered(guest.Frontswap)
		if cc != tt.cc || fs != tt.fs {
			t.Errorf("%s: cleancache %s (%s), frontswap %s (%s)", name, cc, ccWhy, fs, fsWhy)
		}
	}
}

func TestWordsThatAreRead(t *testing.T) {
	names := func(s guest.State) string {
		var out []string
		for _, w := range s.BootWords() {
			out = append(out, w.Name)
		}
		for _, p := range s.ModuleParams() {
			out = append(out, "tmem."+p.Name)
		}
		return strings.Join(out, " ")
	}
	noFrontswap := append([]string{"# CONFIG_FRONTSWAP is not set"}, builtIn[0], builtIn[1], builtIn[3], builtIn[4])
	builtInModule := read(guesttest.Files(t, "xen-4.12-builtin/plain1/builtin-no-param"))
	for want, s := range map[string]guest.State{
		"tmem nocleancache nofrontswap noselfballooning noselfshrink":           configured(t, "3.9.6", builtIn...),
		"tmem nocleancache selfballooning":                                      configured(t, "3.8.0", noFrontswap...),
		"tmem.cleancache tmem.frontswap tmem.selfballooning tmem.selfshrinking": configured(t, "4.15.0-213-generic", ubuntu...),
		"tmem.frontswap": configured(t, "4.19.0-27-amd64", debian...),
		"tmem tmem.cleancache tmem.frontswap tmem.selfballooning tmem.selfshrinking": builtInModule,
		"":                  configured(t, "6.1.0-44-amd64", xen),
		"tmem nocleancache": configured(t, "3.0.0", xen, "CONFIG_CLEANCACHE=y"),
	} {
		if got := names(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
