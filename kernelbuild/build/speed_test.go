package build_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/kernelbuild"
	"xtm/kernelbuild/kconfig"
)

// TestSpeed compares one 6.1 in one configuration, a small kernel for a PV guest
// with many modules: built by hand as the guides tell, with debug information and
// xz, and by xtm, when ccache is empty and when it is filled. Nothing else differs.
// Processor time is compared, for a machine has other work; both times are shown.
func TestSpeed(t *testing.T) {
	if os.Getenv("XTM_TEST_KERNEL") != "1" || os.Getenv("XTM_TEST_NIGHTLY") != "1" {
		t.Skip("CI does not run it, for it builds three kernels: make kernel-speed does, and make nightly")
	}
	b := newBench(t, read(t, "testdata/config-6.1-modules"))
	top := filepath.Join(filepath.Dir(b.dir), "speed") // with a compiler cache of its own
	if err := os.RemoveAll(top); err != nil {
		t.Fatal(err)
	}
	b.makeDir(top)
	source := b.download(top+"/fetch", "linux-source-6.1")

	cold := b.ours("ours, cold ccache", top+"/cold", source)
	final := read(t, top+"/cold/config/final.config")
	warm := b.ours("ours, warm ccache", top+"/warm", source)
	if again := read(t, top+"/warm/config/final.config"); again != final {
		t.Error("the two builds of xtm differ in their configuration")
	}
	hand := b.byHand(top+"/hand", source, final)

	t.Logf("%d modules", cold.modules)
	for _, r := range []built{hand, cold, warm} {
		t.Logf("%-18s %5.1f min, %5.1f min of processors, %6d MiB of folder, %5d MiB of packages",
			r.what, r.wall.Minutes(), r.cpu.Minutes(), r.folder>>20, r.packages>>20)
	}
	t.Logf("hand way against ours: cold %.1f times, warm %.1f times (processors: %.1f, %.1f)",
		ratio(hand.wall, cold.wall), ratio(hand.wall, warm.wall), ratio(hand.cpu, cold.cpu), ratio(hand.cpu, warm.cpu))
	if cold.modules < 120 || hand.modules != cold.modules || warm.modules != cold.modules {
		t.Errorf("modules: %d by hand, %d cold, %d warm; wanted 120 or more, and the same", hand.modules, cold.modules, warm.modules)
	}
	if hand.cpu < cold.cpu || cold.cpu < 2*warm.cpu || hand.folder < cold.folder {
		t.Error("it is not faster, or not smaller")
	}

	packed := map[string]time.Duration{}
	for _, way := range []struct {
		of         built
		compressor string
	}{{hand, "xz"}, {hand, "zstd"}, {cold, "xz"}, {cold, "zstd"}, {cold, "none"}} {
		took, size := b.pack(way.of.debs, way.compressor)
		packed[way.of.what+way.compressor] = took.cpu
		t.Logf("packing alone, %s, %s: %.1f s, %.1f s of processors, %d MiB", way.of.what, way.compressor, took.wall.Seconds(), took.cpu.Seconds(), size>>20)
	}
	if packed[hand.what+"xz"] < 5*packed[cold.what+"zstd"] {
		t.Error("packing is not five times as fast")
	}
}

// built is what a build took, and what it left.
type built struct {
	what string
	spent
	folder, packages int64 // bytes
	modules          int
	debs             []string
}

// spent is the time of a program and all that it started.
type spent struct{ wall, cpu time.Duration }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// timed runs a program that must succeed.
func timed(t *testing.T, c *exec.Cmd) spent {
	t.Helper()
	begin := time.Now()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", c, err, out[max(0, len(out)-4000):])
	}
	return spent{time.Since(begin), c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
}

// download fetches a package as apt does for any user.
func (b *bench) download(dir, name string) string {
	b.t.Helper()
	b.makeDir(dir)
	c := exec.Command("apt-get", "download", "--quiet", name)
	c.Dir = dir
	timed(b.t, c)
	found, err := filepath.Glob(dir + "/" + name + "_*.deb")
	if err != nil || len(found) != 1 {
		b.t.Fatalf("apt-get download %s left %v, %v", name, found, err)
	}
	return found[0]
}

// ours builds with xtm, from the package with the source to those with the kernel.
func (b *bench) ours(what, dir, source string) built {
	b.t.Helper()
	b.dir = dir
	b.makeDir(dir)
	r := built{what: what, spent: timed(b.t, b.command("build", "--fragment", b.fragment("CONFIG_XEN=y\nCONFIG_MODULES=y\n"), "--localversion", "-xen", "--source", source))}
	record, err := kernelbuild.ReadRecord(hostfs.Root(dir), "/out/record.json")
	if err != nil || record.State != kernelbuild.Checked {
		b.t.Fatalf("record: %s, %v", record.State, err)
	}
	if !record.Inputs.Ccache || record.Inputs.Compressor != "zstd" {
		b.t.Errorf("ccache %v, compressor %s", record.Inputs.Ccache, record.Inputs.Compressor)
	}
	for _, p := range record.Phases {
		b.t.Logf("%s: %-14s %8.1f s", what, p.Phase, p.Seconds)
	}
	r.count(b.t, dir+"/src")
	b.t.Logf("%s: %.1f min", what, r.wall.Minutes())
	return r
}

// byHand does what the guides tell: the same configuration with debug
// information, make, and the compressor that dpkg takes by itself.
func (b *bench) byHand(dir, source, final string) built {
	t := b.t
	t.Helper()
	r := built{what: "hand way"}
	do := func(dir, name string, args ...string) {
		took := timed(t, b.asUser(dir, name, args...))
		r.wall, r.cpu = r.wall+took.wall, r.cpu+took.cpu
	}
	tree := dir + "/src/linux"
	for _, d := range []string{dir, dir + "/src", tree} {
		b.makeDir(d)
	}
	do(dir, "dpkg-deb", "--extract", source, "deb")
	tarballs, err := filepath.Glob(dir + "/deb/usr/src/linux-source-*.tar.xz")
	if err != nil || len(tarballs) != 1 {
		t.Fatalf("tarballs %v, %v", tarballs, err)
	}
	do(dir, "tar", "-xf", tarballs[0], "-C", tree, "--strip-components=1")

	config, err := kconfig.ReadConfig([]byte(final))
	if err != nil {
		t.Fatal(err)
	}
	asked := config.Clone()
	for symbol, value := range map[string]string{"DEBUG_INFO_NONE": "n", "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT": "y"} {
		if err := asked.Set(symbol, value); err != nil {
			t.Fatal(err)
		}
	}
	write(t, tree+"/.config", string(asked.Bytes()))
	b.give(tree + "/.config")
	do(tree, "make", "olddefconfig")
	became, err := kconfig.ReadConfig([]byte(read(t, tree+"/.config")))
	if err != nil {
		t.Fatal(err)
	}
	if became.Text("DEBUG_INFO") != "y" {
		t.Fatal("the hand way has no debug information")
	}
	for _, c := range kconfig.Diff(config, became) {
		if !strings.Contains(c.Symbol, "DEBUG_INFO") && !aboutDebug[c.Symbol] {
			t.Errorf("the hand way's configuration differs in %s: %q, not %q", c.Symbol, c.New, c.Old)
		}
	}
	do(tree, "make", fmt.Sprintf("-j%d", cpus(t)), "bindeb-pkg", "LOCALVERSION=-hand", "KDEB_PKGVERSION=1", "KDEB_COMPRESS=xz")
	r.count(t, dir+"/src")
	return r
}

// aboutDebug are the symbols that follow from debug information.
var aboutDebug = map[string]bool{"GDB_SCRIPTS": true, "PAHOLE_HAS_SPLIT_BTF": true}

// asUser runs a program as xtm runs make: not as root, and politely.
func (b *bench) asUser(dir, name string, args ...string) *exec.Cmd {
	b.t.Helper()
	c := exec.Command("nice", append([]string{"-n", "10", name}, args...)...)
	c.Dir = dir
	if b.user != nil {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		c.Env = append(os.Environ(), "HOME="+dir)
	}
	return c
}

// count measures what a build left in a folder: the tree, and the packages
// beside it.
func (r *built) count(t *testing.T, dir string) {
	t.Helper()
	var err error
	if r.debs, err = filepath.Glob(dir + "/*.deb"); err != nil {
		t.Fatal(err)
	}
	for _, deb := range r.debs {
		info, err := os.Stat(deb)
		if err != nil {
			t.Fatal(err)
		}
		r.packages += info.Size()
	}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			r.folder += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	image := slices.IndexFunc(r.debs, func(d string) bool {
		name := filepath.Base(d)
		return strings.HasPrefix(name, "linux-image-") && !strings.Contains(name, "-dbg_")
	})
	if image < 0 {
		t.Fatalf("no image among %v", r.debs)
	}
	out, err := exec.Command("dpkg-deb", "--contents", r.debs[image]).Output()
	if err != nil {
		t.Fatal(err)
	}
	r.modules = strings.Count(string(out), ".ko\n")
}

// pack packs what packages hold once more, by another compressor.
func (b *bench) pack(debs []string, compressor string) (took spent, size int64) {
	t := b.t
	t.Helper()
	dir := t.TempDir()
	for i, deb := range debs {
		files, to := fmt.Sprintf("%s/%d", dir, i), fmt.Sprintf("%s/%d.deb", dir, i)
		must(t, dir, "dpkg-deb", "--raw-extract", deb, files)
		one := timed(t, exec.Command("dpkg-deb", "--root-owner-group", "-Z"+compressor, "--build", files, to))
		took.wall, took.cpu = took.wall+one.wall, took.cpu+one.cpu
		info, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		must(t, dir, "rm", "-r", files, to)
	}
	return took, size
}

func cpus(t *testing.T) (n int) {
	t.Helper()
	out, err := exec.Command("nproc").Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
