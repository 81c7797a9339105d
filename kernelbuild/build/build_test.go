package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/kernelbuild"
	"xtm/kernelbuild/build"
)

func TestBuildToPackages(t *testing.T) {
	j := job(t, fakeTree(t, "4.19", "67"))
	said := watch(&j)
	r, err := j.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	phases := []string{"locate", "preflight", "fetch", "scan", "configure", "verify-config", "probe", "build", "package-check"}
	ran := slices.DeleteFunc(slices.Clone(*said), func(s string) bool { return !slices.Contains(phases, s) })
	if diff := cmp.Diff(phases, ran); diff != "" {
		t.Error(diff)
	}
	var files []string
	for _, p := range r.Packages {
		files = append(files, string(p.Kind)+" "+p.File)
		if info, err := os.Stat(filepath.Join(j.Dir, "out", p.File)); err != nil || info.Size() != int64(p.Size) {
			t.Errorf("%s: %v", p.File, err)
		}
	}
	if diff := cmp.Diff([]string{
		"headers linux-headers-4.19.67-tmem_4.19.67-tmem-1_amd64.deb",
		"image linux-image-4.19.67-tmem_4.19.67-tmem-1_amd64.deb",
		"libc-dev linux-libc-dev_4.19.67-tmem-1_amd64.deb",
	}, files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]kernelbuild.SymbolOutcome{
		{Symbol: "CLEANCACHE", Wanted: "y", Became: "y", Holds: true},
		{Symbol: "FRONTSWAP", Wanted: "y", Became: "y", Holds: true},
		{Symbol: "ZSWAP", Wanted: "n", Became: "n", Holds: true},
		{Symbol: "XEN_SELFBALLOONING", Wanted: "y", Became: "y", Holds: true},
		{Symbol: "XEN_TMEM", Wanted: "m", Became: "m", Holds: true},
	}, r.Symbols); diff != "" {
		t.Error(diff)
	}
	saved, err := kernelbuild.ReadRecord(hostfs.Root(j.Dir), "/out/record.json")
	if err != nil || saved.State != kernelbuild.Checked || saved.Release != "4.19.67-tmem" || !strings.Contains(saved.Reproducer, "make bindeb-pkg -j2 LOCALVERSION=-tmem") {
		t.Errorf("%+v, %v", saved, err)
	}
	if saved.Inputs.FinalSHA256 == "" || saved.Inputs.Timestamp == "" || saved.Inputs.ObjectsBuilt != 30 || len(saved.Phases) != 9 {
		t.Errorf("%+v", saved.Inputs)
	}
	final := read(t, j.Dir+"/config/final.config")
	if !strings.Contains(final, `CONFIG_SYSTEM_TRUSTED_KEYS=""`) || !strings.Contains(final, `CONFIG_BUILD_SALT=""`) {
		t.Errorf("the distribution's keys are still there:\n%s", final)
	}
	// A second run with the same inputs does nothing.
	again := watch(&j)
	if _, err := j.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"locate", "preflight", "fetch kept", "scan", "configure kept", "verify-config", "probe kept", "build kept", "package-check"}, *again); diff != "" {
		t.Error(diff)
	}
	saved, err = kernelbuild.ReadRecord(hostfs.Root(j.Dir), "/out/record.json")
	if err != nil || saved.State != kernelbuild.Checked || saved.Inputs.ObjectsBuilt != 30 {
		t.Errorf("%+v, %v", saved, err)
	}
	// Another wish is another configuration, in the same tree.
	j.Options.KeepDebug = true
	again = watch(&j)
	if _, err := j.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"locate", "preflight", "fetch kept", "scan", "its inputs changed: it is done anew", "configure", "verify-config",
		"its inputs changed: it is done anew", "probe", "its inputs changed: it is done anew", "build", "package-check",
	}, *again); diff != "" {
		t.Error(diff)
	}
}

// TestRefusals runs what has to fail, each with the phase in which it must, what
// the message must have, and what the error is.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name             string
		series, sublevel string
		fault, holding   string // a file in the tree and what it has
		change           func(*build.Job)
		phase            build.Phase
		says             string
		is               error
	}{
		{
			"no tmem in the tree", "6.1", "176", "", "", nil,
			build.Preflight, "XEN_TMEM is not defined in Linux 6.1.176; the last release with it is 5.2", cause.ErrNotSupported,
		},
		{
			"half of tmem in the tree", "5.10", "223", "", "", nil,
			build.Preflight, "no XEN_SELFBALLOONING, XEN_TMEM", cause.ErrNotSupported,
		},
		{
			"a dependency that is off", "4.19", "67", "", "",
			func(j *build.Job) {
				j.Export.Config = strings.Replace(j.Export.Config, "CONFIG_XEN_BALLOON=y", "# CONFIG_XEN_BALLOON is not set", 1)
			},
			build.Preflight, "needs XEN_BALLOON to be y, and it is n (drivers/xen/Kconfig:4)", build.ErrDiffers,
		},
		{
			"a wish that the kernel drops", "4.19", "67", "fault/dropped", "CLEANCACHE", nil,
			build.VerifyConfig, "CLEANCACHE: wanted y, became absent (mm/Kconfig:", build.ErrDiffers,
		},
		{
			"an initrd that the kernel could not unpack", "4.19", "67", "", "",
			func(j *build.Job) { j.Export.Target.Initrd = "zstd" },
			build.VerifyConfig, "initramfs-tools compress by zstd, and this kernel could not unpack that", build.ErrDiffers,
		},
		{
			"a suffix in upper case", "4.19", "67", "", "",
			func(j *build.Job) { j.Options.PackageVersion = "tmem1" },
			build.Preflight, "must begin with a digit", kernelbuild.ErrPlan,
		},
		{
			"root", "4.19", "67", "", "",
			func(j *build.Job) { j.Root = true },
			build.Preflight, "make would run as root", kernelbuild.ErrPlan,
		},
		{
			"a compiler that the tree does not take", "3.13", "10", "include/linux/compiler-gcc4.h", "", nil,
			build.Preflight, "compiler-gccN.h for gcc 4 only", kernelbuild.ErrPlan,
		},
		{
			"a compiler that only the probe finds out about", "4.19", "67", "fault/prepare", "subcmd-util.h:56:23: error: pointer 'ptr' may be used after 'realloc' [-Werror=use-after-free]\ncc1: all warnings being treated as errors\nmake[3]: *** [Makefile:50: prepare-objtool] Error 2\n", nil,
			build.Probe, "[-Werror=use-after-free]; cure: A warning of a newer compiler", nil,
		},
		{
			"a file localversion in the tree", "4.19", "67", "localversion", "-mine", nil,
			build.Probe, `would make Linux "4.19.67-mine-tmem"`, kernelbuild.ErrName,
		},
		{
			"a key of the distribution", "4.19", "67", "fault/bindeb-pkg", "make[4]: *** No rule to make target 'debian/certs/debian-uefi-certs.pem', needed by 'certs/x509_certificate_list'.  Stop.\n", nil,
			build.Build, "SYSTEM_TRUSTED_KEYS", nil,
		},
		{
			"a build without packages", "4.19", "67", "fault/bindeb-pkg", "dpkg-genbuildinfo: error: binary build with no binary artifacts found; cannot distribute\n", nil,
			build.Build, "cure: Install debhelper", nil,
		},
		{
			"a package that is listed and not there", "4.19", "67", "fault/listed", " " + strings.Repeat("0", 64) + " 1 linux-image-4.19.67-tmem-dbg_4.19.67-tmem-1_amd64.deb\n", nil,
			build.PackageCheck, "listed and not there", build.ErrPackage,
		},
		{
			"a package without the module", "4.19", "67", "fault/no-module", "", nil,
			build.PackageCheck, "no module drivers/xen/tmem.ko", build.ErrPackage,
		},
		{
			"no headers", "4.19", "67", "fault/no-linux-headers-4.19.67-tmem", "", nil,
			build.PackageCheck, "no package has the headers", build.ErrPackage,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree := fakeTree(t, tc.series, tc.sublevel)
			j := job(t, tree)
			if tc.fault != "" {
				write(t, filepath.Join(tree, tc.fault), tc.holding)
			}
			if tc.change != nil {
				tc.change(&j)
			}
			_, err := j.Build(t.Context())
			e, ok := errors.AsType[*build.PhaseError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			text := err.Error()
			for _, f := range e.Findings {
				text += "\n" + f.Subject + ": " + f.Seen
			}
			if e.Failure != nil {
				text += "; cure: " + e.Failure.Cure
			}
			if e.Phase != tc.phase && (e.Phase != build.Scan || tc.phase != build.Preflight) || !strings.Contains(text, tc.says) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s", text)
			}
			if tc.phase != build.PackageCheck {
				if debs, _ := filepath.Glob(j.Dir + "/*/*.deb"); len(debs) > 0 {
					t.Errorf("left %s", debs)
				}
			}
			if r, err := kernelbuild.ReadRecord(hostfs.Root(j.Dir), "/out/record.json"); err == nil && r.State != kernelbuild.Failed {
				t.Errorf("the record says %s", r.State)
			}
		})
	}
}

// TestDiskFull is a disk that fills up midway, and then has space again.
func TestDiskFull(t *testing.T) {
	j := job(t, fakeTree(t, "4.19", "67"))
	write(t, j.Options.Source+"/fault/bindeb-pkg", "dpkg-deb: error: unable to write file: No space left on device\n")
	_, err := j.Build(t.Context())
	e, ok := errors.AsType[*build.PhaseError](err)
	if !ok || e.Failure == nil || !strings.Contains(e.Failure.Cure, "goes on where it stopped") {
		t.Fatalf("%v", err)
	}
	if err := os.RemoveAll(j.Dir + "/src/linux/fault"); err != nil {
		t.Fatal(err)
	}
	said := watch(&j)
	if _, err := j.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(*said, "goes on where it was interrupted") || !slices.Contains(*said, "configure kept") {
		t.Errorf("%v", *said)
	}
	if n := strings.Count(read(t, j.Dir+"/src/linux/obj.list"), "\n"); n != 30 {
		t.Errorf("%d objects were made for 30", n)
	}
}

func TestLocalmodKeepsXen(t *testing.T) {
	j := job(t, fakeTree(t, "4.19", "67"))
	j.Options.Localmod = true
	if _, err := j.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	final := read(t, j.Dir+"/config/final.config")
	for _, want := range []string{"CONFIG_XEN_BLKDEV_FRONTEND=m", "CONFIG_XENFS=m"} {
		if !strings.Contains(final, want) {
			t.Errorf("no %s in\n%s", want, final)
		}
	}
}
