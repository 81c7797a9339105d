package kernelbuild

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/kernelbuild/kconfig"
)

// tree is a slice of kconfig's testdata as a whole tree.
func tree(tb testing.TB, series, version string) *Tree {
	tb.Helper()
	k, err := kconfig.Scan(hostfs.Root("kconfig/testdata/linux-"+series), kconfig.X86())
	if err != nil {
		tb.Fatal(err)
	}
	s, err := SeriesOf(version)
	if err != nil {
		tb.Fatal(err)
	}
	return &Tree{Version: version, Bindeb: s.After(Series{4, 0}), Debhelper: s.After(Series{6, 2}), Kconfig: k}
}

func config(tb testing.TB, release string) *kconfig.Config {
	tb.Helper()
	b, err := os.ReadFile("kconfig/testdata/config-" + release)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := kconfig.ReadConfig(b)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func profile(tb testing.TB, name string) Profile {
	tb.Helper()
	p, err := ProfileNamed(name)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// buster are the facts of a Debian 10 that shall get tmem, all well; the tree
// is there.
func buster(tb testing.TB) Facts {
	tb.Helper()
	return Facts{
		Target: Target{
			Release: "4.19.0-6-amd64", Architecture: "amd64", Distribution: "debian",
			Owner: opt.Of(Owner{
				"linux-image-4.19.0-6-amd64", "4.19.67-2+deb10u2", "linux-signed-amd64", "4.19.67+2+deb10u2", "linux (= 4.19.67-2+deb10u2)",
			}),
			ConfigPath: "/boot/config-4.19.0-6-amd64", DpkgVersion: "1.19.7",
		},
		Builder: Builder{
			CPUs: 2, Memory: 8 << 30, DpkgVersion: "1.21.22",
			Folders: []Folder{
				{Path: "/home/b/linux", Use: ForTree, Free: 40 << 30, Inodes: opt.Of[int64](1_000_000), Device: "vda1", Writable: true},
				{Path: "/home/b", Use: ForPackages, Free: 40 << 30, Device: "vda1", Writable: true},
				{Path: "/tmp", Use: ForTemporary, Free: 1 << 30, Device: "tmpfs", Writable: true},
			},
			Compilers: []Compiler{{"gcc", "12.2.0"}},
			Installed: map[string]bool{
				"bc": true, "bison": true, "build-essential": true, "cpio": true, "flex": true, "kmod": true,
				"libelf-dev": true, "libssl-dev": true, "rsync": true, "xz-utils": true, "fakeroot": true,
			},
			Offers: map[string][]string{"linux-source-4.19": {"4.19.67-2+deb10u2"}},
		},
		Options: Options{Profile: profile(tb, "tmem")},
		Tree:    tree(tb, "4.19", "4.19.67"),
		Config:  config(tb, "4.19.0-6-amd64"),
	}
}

// checks are the names of the findings of at least this verdict.
func checks(fs []finding.Finding, least finding.Verdict) []string {
	var out []string
	for _, f := range fs {
		if f.Verdict.Rank() >= least.Rank() {
			out = append(out, f.Check)
		}
	}
	return out
}

func TestPlanForTmem(t *testing.T) {
	p := NewPlan(buster(t))
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"compiler-newer"}, checks(p.Findings, finding.Note)); diff != "" {
		t.Error(diff)
	}
	changes := []kconfig.Change{
		{Symbol: "BUILD_SALT", Old: `"4.19.0-6-amd64"`, New: `""`},
		{Symbol: "CLEANCACHE", Old: "n", New: "y"},
		{Symbol: "DEBUG_INFO", Old: "y", New: "n"},
		{Symbol: "MODULE_SIG_KEY", Old: `""`, New: `"certs/signing_key.pem"`},
		{Symbol: "SYSTEM_TRUSTED_KEYS", Old: `"debian/certs/debian-uefi-certs.pem"`, New: `""`},
		{Symbol: "XEN_SELFBALLOONING", Old: "", New: "y"},
		{Symbol: "ZSWAP", Old: "y", New: "n"},
	}
	if diff := cmp.Diff(changes, p.Changes); diff != "" {
		t.Error(diff)
	}
	names := Names{
		"-tmem", "4.19.67-tmem", "4.19.67-tmem-1",
		"linux-image-4.19.67-tmem_4.19.67-tmem-1_amd64.deb", "linux-headers-4.19.67-tmem_4.19.67-tmem-1_amd64.deb",
	}
	if diff := cmp.Diff(names, p.Names); diff != "" {
		t.Error(diff)
	}
	args := "bindeb-pkg -j2 LOCALVERSION=-tmem KDEB_PKGVERSION=4.19.67-tmem-1 KDEB_COMPRESS=none DPKG_DEB_COMPRESSOR_TYPE=none WERROR=0"
	if got := strings.Join(p.Make, " "); got != args {
		t.Errorf("make %s", got)
	}
	if p.Routes[0].Kind != SourceDeb || p.Routes[0].What != "linux-source-4.19=4.19.67-2+deb10u2" || !p.Routes[0].Open {
		t.Errorf("first route %+v", p.Routes[0])
	}
	b, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(b), `"schema":1`) {
		t.Errorf("%s, %v", b, err)
	}
	again, err := json.Marshal(NewPlan(buster(t)))
	if err != nil || string(again) != string(b) {
		t.Error("the same facts gave another plan")
	}
}

// TestPlanRefuses runs the scenarios that a plan has to refuse: each changes one
// thing about the host where all is well.
func TestPlanRefuses(t *testing.T) {
	debian12 := func(f *Facts) {
		f.Target.Release, f.Config = "6.1.0-56-amd64", config(t, "6.1.0-56-amd64")
		f.Target.Owner = opt.Of(Owner{"linux-image-6.1.0-56-amd64", "6.1.192-2", "linux-signed-amd64", "6.1.192+2", "linux (= 6.1.192-2)"})
	}
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		check  string // a finding that is Bad
		says   string // in the error
		is     error
	}{
		{
			"no tmem in the tree",
			func(f *Facts) { debian12(f); f.Tree = tree(t, "6.1", "6.1.192") },
			"symbol-undefined", "no CLEANCACHE, FRONTSWAP, XEN_SELFBALLOONING, XEN_TMEM", cause.ErrNotSupported,
		},
		{
			"no tmem by release alone",
			func(f *Facts) { debian12(f); f.Tree = nil },
			"symbol-undefined", "no CLEANCACHE, FRONTSWAP, XEN_SELFBALLOONING, XEN_TMEM", cause.ErrNotSupported,
		},
		{
			"half of tmem in the tree",
			func(f *Facts) {
				f.Tree = tree(t, "5.10", "5.10.223")
				f.Target.Owner = opt.Of(Owner{"linux-image-5.10.0-32-amd64", "5.10.223-1", "linux-signed-amd64", "5.10.223+1", "linux (= 5.10.223-1)"})
			},
			"symbol-undefined", "no XEN_SELFBALLOONING, XEN_TMEM", cause.ErrNotSupported,
		},
		{
			"a dependency that is off",
			func(f *Facts) {
				if err := f.Config.Set("XEN_BALLOON", "n"); err != nil {
					t.Fatal(err)
				}
			},
			"symbol-dependency", "needs XEN_BALLOON to be y, and it is n (drivers/xen/Kconfig:4)", ErrPlan,
		},
		{
			"not a distribution's kernel",
			func(f *Facts) { f.Target.Owner, f.Tree = opt.Value[Owner]{}, nil },
			"source-unknown", "no package has the running kernel", cause.ErrNotSupported,
		},
		{
			"another vendor's kernel",
			func(f *Facts) {
				f.Target.Owner = opt.Of(Owner{"pve-kernel-5.0", "5.0.21-1", "pve-kernel", "5.0.21-1", ""})
			},
			"source-unknown", "name its tree, tarball or .dsc with --source", cause.ErrNotSupported,
		},
		{
			"a suffix in upper case", func(f *Facts) { f.Options.LocalVersion = opt.Of("-TMEM") },
			"name-invalid", `local version "-TMEM"`, ErrPlan,
		},
		{
			"a package version with a letter first", func(f *Facts) { f.Options.PackageVersion = "tmem1" },
			"name-invalid", "must begin with a digit", ErrPlan,
		},
		{
			"a compiler that the tree has no header for", func(f *Facts) { f.Tree.GCCHeaders = []int{3, 4} },
			"compiler-too-new", "compiler-gccN.h for gcc 3 and 4 only", ErrPlan,
		},
		{
			"a compiler that is too old", func(f *Facts) { f.Tree.GCCMinimum = "12.3.0" },
			"compiler-too-old", "wants gcc 12.3.0 at least", ErrPlan,
		},
		{
			"a compiler that does not merge variables", definedTwice,
			"compiler-too-new", "kaslr_64.c defines __force_order a second time", ErrPlan,
		},
		{
			"no compiler", func(f *Facts) { f.Builder.Compilers = nil },
			"compiler-missing", "no compiler is installed", ErrPlan,
		},
		{
			"a small disk", func(f *Facts) { f.Builder.Folders[0].Free, f.Builder.Folders[1].Free = 1<<30, 1<<30 },
			"space-short", "1,024 MiB free, and source and objects, packages take about", ErrPlan,
		},
		{
			"a small tmpfs", func(f *Facts) { f.Builder.Folders[2].Free = 1 << 20 },
			"space-short", "/tmp: 1 MiB free, and temporary files take about 25 MiB", ErrPlan,
		},
		{
			"few inodes", func(f *Facts) { f.Builder.Folders[0].Inodes = opt.Of[int64](1000) },
			"inodes-short", "1,000 free inodes", ErrPlan,
		},
		{
			"no right to write where packages land", func(f *Facts) { f.Builder.Folders[1].Writable = false },
			"folder-not-writable", "/home/b", ErrPlan,
		},
		{
			"a tree of another version", func(f *Facts) { f.Tree.Version = "4.19.66" },
			"tree-version", "should be 4.19.67", ErrPlan,
		},
		{
			"no configuration", func(f *Facts) { f.Config = nil },
			"config-missing", "no configuration of this kernel", ErrPlan,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := buster(t)
			tc.change(&f)
			p := NewPlan(f)
			if all := slices.Concat(p.Findings, p.Judgement.Findings); !slices.Contains(checks(all, finding.Bad), tc.check) {
				t.Errorf("no %s among %v", tc.check, checks(all, finding.Note))
			}
			if err := p.Err(); !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPlanListsAllMissingPackagesInOneLine(t *testing.T) {
	f := buster(t)
	f.Tree.Debhelper = true
	f.Builder.Installed = map[string]bool{"build-essential": true, "kmod": true}
	p := NewPlan(f)
	want := "apt-get install --no-install-recommends bc bison cpio debhelper fakeroot flex libelf-dev libssl-dev rsync xz-utils"
	if p.Install != want || !errors.Is(p.Err(), ErrPlan) {
		t.Errorf("%s, %v", p.Install, p.Err())
	}
}

func TestPlanWarns(t *testing.T) {
	f := buster(t)
	f.Builder.Root, f.Builder.Memory, f.Builder.Compilers = true, 512<<20, []Compiler{{"gcc-11", "11.3.0"}}
	p := NewPlan(f)
	if diff := cmp.Diff([]string{"builds-as-root", "memory-short"}, checks(p.Findings, finding.Note)); diff != "" || p.Err() != nil {
		t.Errorf("%v: %s", p.Err(), diff)
	}
	if got := strings.Join(p.Make, " "); !strings.Contains(got, "-j1 ") || !strings.Contains(got, "CC=gcc-11 HOSTCC=gcc-11") {
		t.Errorf("make %s", got)
	}
}

func TestPlanForXenGuestOnDebian12(t *testing.T) {
	f := buster(t)
	f.Target.Release, f.Target.DpkgVersion, f.Config, f.Tree = "6.1.0-56-amd64", "1.21.22", config(t, "6.1.0-56-amd64"), tree(t, "6.1", "6.1.192")
	f.Target.Owner = opt.Of(Owner{"linux-image-6.1.0-56-amd64", "6.1.192-2", "linux-signed-amd64", "6.1.192+2", "linux (= 6.1.192-2)"})
	f.Options.Profile = profile(t, "xen-guest")
	p := NewPlan(f)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	want := []kconfig.Change{
		{Symbol: "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT", Old: "y", New: "n"},
		{Symbol: "DEBUG_INFO_NONE", Old: "n", New: "y"},
		{Symbol: "HVC_XEN", Old: "", New: "y"},
	}
	if diff := cmp.Diff(want, p.Changes); diff != "" {
		t.Error(diff)
	}
	if p.Compressor != "zstd" || p.Names.Release != "6.1.192-xen" {
		t.Errorf("%s, %s", p.Compressor, p.Names.Release)
	}
}

// TestDebugInfoFallsWithItsChoice holds the step to the trap: turning off
// DEBUG_INFO alone changes nothing from 5.18 on.
func TestDebugInfoFallsWithItsChoice(t *testing.T) {
	k := tree(t, "6.1", "6.1.192").Kconfig
	becomes := func(requests []kconfig.Request) string {
		c := config(t, "6.1.0-56-amd64")
		if _, err := k.Apply(c, requests); err != nil {
			t.Fatal(err)
		}
		e := k.Evaluate(c)
		return e.Value("DEBUG_INFO") + e.Value("DEBUG_INFO_BTF")
	}
	if got := becomes([]kconfig.Request{{Symbol: "DEBUG_INFO", Value: "n"}}); got != "yy" {
		t.Errorf("the naive way gives %s: the fixture has no trap", got)
	}
	never := func(string) bool { return false }
	if got := becomes(Sanitise(k, config(t, "6.1.0-56-amd64"), false, never)); got != "nn" {
		t.Errorf("our way gives %s", got)
	}
}

func TestSanitise(t *testing.T) {
	c, err := kconfig.ReadConfig([]byte(`CONFIG_SYSTEM_TRUSTED_KEYS="debian/canonical-certs.pem"
CONFIG_SYSTEM_REVOCATION_KEYS="debian/canonical-revoked-certs.pem"
CONFIG_MODULE_SIG_KEY=""
CONFIG_BUILD_SALT="5.10.0-32-amd64"
CONFIG_LOCALVERSION="-foo"
CONFIG_LOCALVERSION_AUTO=y
CONFIG_DEBUG_INFO=y
`))
	if err != nil {
		t.Fatal(err)
	}
	list := func(keep bool, exists func(string) bool) []string {
		var out []string
		for _, r := range Sanitise(nil, c, keep, exists) {
			out = append(out, r.Symbol+"="+r.Value)
		}
		return out
	}
	all := []string{
		`SYSTEM_TRUSTED_KEYS=""`, `SYSTEM_REVOCATION_KEYS=""`, `MODULE_SIG_KEY="certs/signing_key.pem"`,
		`BUILD_SALT=""`, `LOCALVERSION=""`, "LOCALVERSION_AUTO=n", "DEBUG_INFO=n",
	}
	if diff := cmp.Diff(all, list(false, func(string) bool { return false })); diff != "" {
		t.Error(diff)
	}
	// Keys that are there are the user's own and stay.
	if diff := cmp.Diff(all[2:6], list(true, func(string) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

func TestNeeds(t *testing.T) {
	f := buster(t)
	f.Builder.CPUs, f.Builder.Memory = 8, 4<<30
	whole := Facts{Builder: f.Builder, Options: Options{KeepDebug: true}}
	for _, tc := range []struct {
		name string
		f    Facts
		jobs int
		tree units.Bytes
	}{
		{"no configuration, debug information", whole, 2, 1500<<20 + 6300*2500<<10},
		{"a small configuration", f, 2, 1500<<20 + 18*350<<10},
		{"little memory", Facts{Builder: Builder{CPUs: 4, Memory: 1 << 20}}, 1, 1500<<20 + 6300*350<<10},
	} {
		n := estimate(tc.f)
		if n.Jobs != tc.jobs || n.Tree != tc.tree {
			t.Errorf("%s: %d jobs, tree of %d bytes, not %d", tc.name, n.Jobs, n.Tree, tc.tree)
		}
		if n.FromSeconds > n.ToSeconds || n.ToSeconds == 0 {
			t.Errorf("%s: %d to %d seconds", tc.name, n.FromSeconds, n.ToSeconds)
		}
	}
}

func TestPlanBeforeTheTreeIsThere(t *testing.T) {
	f := buster(t)
	f.Tree, f.Builder.Offers = nil, nil
	p := NewPlan(f)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if p.Judgement.Holds || p.Judgement.Impossible || p.Names.Release != "4.19.67-tmem" {
		t.Errorf("%+v, %+v", p.Judgement, p.Names)
	}
	for _, f := range p.Judgement.Findings {
		if f.Check != "symbol-not-known-yet" || f.Verdict != finding.CouldNotTell {
			t.Errorf("%+v", f)
		}
	}
	// The tree changes what is known, not what is written.
	if diff := cmp.Diff(NewPlan(buster(t)).Changes, p.Changes); diff != "" {
		t.Error(diff)
	}
}

func TestPlanOfAFragment(t *testing.T) {
	for _, tc := range []struct {
		text  string
		check string
		is    error
	}{
		// A promptless symbol in a fragment is fine as long as the tree agrees.
		{"CONFIG_XEN_TMEM=m\nCONFIG_CLEANCACHE=y\n", "symbol-holds", nil},
		{"CONFIG_XEN_TMEM=y\n", "symbol-computed", ErrPlan},
		{"CONFIG_CLEANCACHE=m\n", "symbol-wrong-type", cause.ErrNotSupported},
		{"CONFIG_NO_SUCH_THING=y\n", "symbol-undefined", cause.ErrNotSupported},
		{"# CONFIG_NO_SUCH_THING is not set\n", "symbol-holds", nil},
	} {
		fragment, err := kconfig.ReadConfig([]byte(tc.text))
		if err != nil {
			t.Fatal(err)
		}
		f := buster(t)
		f.Options.Profile = FragmentProfile("my.config", "-mine", fragment)
		p := NewPlan(f)
		if err := p.Err(); !errors.Is(err, tc.is) || (err == nil) != (tc.is == nil) {
			t.Errorf("%q: %v", tc.text, err)
		}
		if !slices.Contains(checks(p.Judgement.Findings, finding.Good), tc.check) {
			t.Errorf("%q: %+v", tc.text, p.Judgement.Findings)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range Profiles() {
		p := profile(t, name)
		if n, err := Name("4.19.67", p.Suffix, "", "amd64"); err != nil || p.Name != name || len(p.Requests) == 0 {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	if _, err := ProfileNamed("fast"); !errors.Is(err, cause.ErrNoData) {
		t.Error(err)
	}
}

// definedTwice is a kernel of 4.19.67 as Debian configured it.
func definedTwice(f *Facts) {
	f.Tree.DefinedTwice = true
	f.Config = f.Config.Clone()
	if err := f.Config.Set("RANDOMIZE_BASE", "y"); err != nil {
		panic(err)
	}
}

func TestCompilerThatMergesVariables(t *testing.T) {
	f := buster(t)
	definedTwice(&f)
	f.Builder.Compilers = []Compiler{{"gcc", "12.2.0"}, {"gcc-9", "9.3.0"}}
	if p := NewPlan(f); p.Err() != nil || p.Toolchain.Compiler.Name != "gcc-9" {
		t.Errorf("%+v, %v", p.Toolchain, p.Err())
	}
	var err error
	if f.Config, err = kconfig.ReadConfig([]byte("# CONFIG_RANDOMIZE_BASE is not set\n")); err != nil {
		t.Fatal(err)
	}
	if p := NewPlan(f); p.Toolchain.Compiler.Name != "gcc" {
		t.Errorf("without RANDOMIZE_BASE: %+v", p.Toolchain)
	}
}

func TestAnyCompilerIsLeftToTheProbe(t *testing.T) {
	f := buster(t)
	f.Tree.GCCHeaders, f.Options.AnyCompiler = []int{3, 4}, true
	p := NewPlan(f)
	if got := checks(p.Findings, finding.Warning); p.Err() != nil || !slices.Equal(got, []string{"compiler-too-new"}) {
		t.Errorf("%v, %v", got, p.Err())
	}
	f.Builder.Compilers = nil
	if err := NewPlan(f).Err(); !errors.Is(err, ErrPlan) {
		t.Errorf("no compiler at all: %v", err)
	}
}
