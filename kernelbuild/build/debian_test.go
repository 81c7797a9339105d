package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"
	"xtm/internal/opt"
	"xtm/kernelbuild"
)

// TestDebianKernel builds a real Linux 6.1 of Debian's, as `make kernel-ci` does:
// fetched without root by apt's own means, killed in the middle and resumed.
func TestDebianKernel(t *testing.T) {
	if os.Getenv("XTM_TEST_KERNEL") != "1" {
		t.Skip("it takes 15 minutes of processor time and 3 GB: make kernel-ci runs it, as make test does")
	}
	b := newBench(t, read(t, "testdata/config-6.1-small"))
	etc := treeHash(t, "/etc")

	// Without a tree the release alone tells.
	out, code := b.xtm("plan", "--profile", "tmem")
	if code != 4 || !strings.Contains(out, "has no XEN_TMEM to set; the last release with it is 5.2") {
		t.Errorf("plan for tmem: exit %d\n%s", code, out)
	}

	begin := time.Now()
	killed := b.start("build", "--profile", "xen-guest")
	log := filepath.Join(b.dir, "out/bindeb-pkg.log")
	b.wait(killed, func() bool { return strings.Count(string(quiet(log)), "\n  CC ") >= 60 })
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	before := objects(quiet(log))
	t.Logf("killed after %s with %d objects", time.Since(begin).Round(time.Second), len(before))
	if r, err := kernelbuild.ReadRecord(hostfs.Root(b.dir), "/out/record.json"); err != nil || r.State != kernelbuild.Building {
		t.Errorf("the record of a killed build: %s, %v", r.State, err)
	}

	begin = time.Now()
	out, code = b.xtm("build", "--profile", "xen-guest")
	if code != 0 {
		t.Fatalf("resumed build: exit %d\n%s", code, out)
	}
	t.Logf("resumed and done after %s", time.Since(begin).Round(time.Second))
	for _, want := range []string{"fetch: done before", "configure: done before", "probe: done before", "goes on where it was interrupted"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	after, twice := objects(quiet(log)), 0
	for o := range before {
		if after[o] {
			twice++
		}
	}
	if twice > len(before)/4 { // a few are made anew each time: version, bounds
		t.Errorf("%d of %d objects were compiled again", twice, len(before))
	}
	b.checkPackages()
	if got := treeHash(t, "/etc"); got != etc {
		t.Error("/etc was changed")
	}

	// The tree is there now: a refusal takes no two seconds.
	begin = time.Now()
	out, code = b.xtm("plan", "--profile", "tmem", "--source", b.dir+"/src/linux")
	if took := time.Since(begin); code != 4 || !strings.Contains(out, "XEN_TMEM is not defined in Linux 6.1") || took > b.patience(2*time.Second) {
		t.Errorf("plan for tmem with the tree: exit %d after %s\n%s", code, took, out)
	}
	// This needs what the compiler answers, so only the kernel's own program can
	// tell: the package with gcc's headers for plugins is not installed.
	if plugins, err := exec.Command("gcc", "-print-file-name=plugin").Output(); err != nil || len(quiet(strings.TrimSpace(string(plugins))+"/include/plugin-version.h")) > 0 {
		t.Fatalf("gcc's headers for plugins are installed, or gcc is not: %v", err)
	}
	out, code = b.xtm("build", "--fragment", b.fragment("CONFIG_GCC_PLUGINS=y\n"))
	if code != 3 || !strings.Contains(out, "GCC_PLUGINS") || !strings.Contains(out, "scripts/gcc-plugins/Kconfig:") || strings.Contains(out, " probe ") {
		t.Errorf("a wish that cannot hold: exit %d\n%s", code, out)
	}
	out, code = b.xtm("build", "--fragment", b.fragment("CONFIG_ZSWAP=y\n# CONFIG_SWAP is not set\n"))
	if code != 3 || !strings.Contains(out, "needs SWAP to be y, and it is n (mm/Kconfig:") {
		t.Errorf("wishes that contradict each other: exit %d\n%s", code, out)
	}
}

// bench is where a real build runs: xtm itself, as a user who is not root.
type bench struct {
	t                *testing.T
	xtmPath, dir     string
	target, fragPath string
	user             []string
}

// nobody is whom a test that runs as root builds as.
const nobody = 65534

func newBench(t *testing.T, config string) *bench {
	t.Helper()
	for _, p := range []string{"apt-get", "apt-cache", "dpkg-deb", "make", "gcc", "flex", "bison", "bc", "rsync", "cpio"} {
		needs.Program(t, p)
	}
	top := t.TempDir()
	if d := os.Getenv("XTM_TEST_KERNEL_DIR"); d != "" { // to keep ccache between runs
		top = d
	}
	b := &bench{t: t, xtmPath: top + "/xtm", dir: top + "/work", target: top + "/target.json", fragPath: top + "/fragment"}
	must(t, "../..", "go", "build", "-o", b.xtmPath, ".")
	if os.Geteuid() == 0 {
		b.user = []string{"--user", "nobody"}
		b.makeDir(b.dir)
		for d := top; d != "/"; d = filepath.Dir(d) { // the test's own folders are root's alone
			if err := os.Chmod(d, 0o755); err != nil && strings.HasPrefix(d, os.TempDir()+"/") {
				t.Fatal(err)
			}
			if filepath.Dir(d) == os.TempDir() {
				break
			}
		}
	}
	version := newest(t, "linux-source-6.1")
	e := kernelbuild.Export{
		Schema: kernelbuild.ExportSchema,
		Target: kernelbuild.Target{
			Release: "6.1.0-50-amd64", Architecture: "amd64", Distribution: "debian", ConfigPath: "/boot/config-6.1.0-50-amd64", DpkgVersion: "1.21.22",
			Owner: opt.Of(kernelbuild.Owner{
				Package: "linux-image-6.1.0-50-amd64", Version: version, Source: "linux-signed-amd64",
				SourceVersion: strings.Replace(version, "-", "+", 1), BuiltUsing: "linux (= " + version + ")",
			}),
		},
		Config: config, BootLoader: "grub",
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b.target, string(text))
	return b
}

// makeDir makes a folder for the user who builds.
func (b *bench) makeDir(dir string) {
	b.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.give(dir)
}

// give lets the user who builds have a file.
func (b *bench) give(path string) {
	b.t.Helper()
	if b.user == nil {
		return
	}
	if err := os.Chown(path, nobody, nobody); err != nil {
		b.t.Fatal(err)
	}
}

// newest is the version of a package that apt would take.
//
//	Candidate: 6.1.192-2
func newest(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("apt-cache", "policy", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), "Candidate: ")
	version, _, _ := strings.Cut(rest, "\n")
	if version == "" || version == "(none)" {
		needs.Unmet(t, "apt offers no %s: a Debian 12 with package lists does (apt-get update)", name)
	}
	return version
}

func (b *bench) command(args ...string) *exec.Cmd {
	words := append([]string{"kernel", args[0], "--target", b.target, "--dir", b.dir}, args[1:]...)
	if args[0] == "build" {
		words = append(words, b.user...)
	}
	return exec.Command(b.xtmPath, words...)
}

// xtm runs a command to its end. All white space of its output is one blank, for
// lines are broken at words.
func (b *bench) xtm(args ...string) (output string, code int) {
	b.t.Helper()
	text, err := b.command(args...).CombinedOutput()
	out := strings.Join(strings.Fields(string(text)), " ")
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return out, e.ExitCode()
	} else if err != nil {
		b.t.Fatal(err)
	}
	return out, 0
}

// start runs a command behind the test.
func (b *bench) start(args ...string) *exec.Cmd {
	b.t.Helper()
	c := b.command(args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("the build that was killed:\n%s", out.String())
		}
	})
	return c
}

// wait waits until something holds, or the command ends.
func (b *bench) wait(c *exec.Cmd, holds func() bool) {
	b.t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(100 * time.Millisecond) {
		if fs, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid)); err != nil || bytes.Contains(fs, []byte(") Z ")) || time.Since(begin) > time.Hour {
			b.t.Fatalf("the build ended before it compiled: %v", c.Wait())
		}
	}
}

// patience is longer where the machine is known to be busy.
func (b *bench) patience(d time.Duration) time.Duration {
	load, err := os.ReadFile("/proc/loadavg")
	var one float64
	if _, serr := fmt.Sscan(string(load), &one); err != nil || serr != nil {
		return d
	}
	return time.Duration(float64(d) * max(1, one/2))
}

func (b *bench) fragment(text string) string {
	b.t.Helper()
	write(b.t, b.fragPath, text)
	return b.fragPath
}

// checkPackages reads what was built with Debian's own program.
func (b *bench) checkPackages() {
	t := b.t
	t.Helper()
	r, err := kernelbuild.ReadRecord(hostfs.Root(b.dir), "/out/record.json")
	if err != nil || r.State != kernelbuild.Checked {
		t.Fatalf("record: %s, %v", r.State, err)
	}
	kinds := map[kernelbuild.PackageKind]bool{}
	for _, p := range r.Packages {
		kinds[p.Kind] = true
		path := filepath.Join(b.dir, "out", p.File)
		out, err := exec.Command("dpkg-deb", "--field", path, "Package", "Version").Output()
		if err != nil || string(out) != "Package: "+p.Name+"\nVersion: "+p.Version+"\n" {
			t.Errorf("%s: %q, %v", p.File, out, err)
		}
		t.Logf("%s, %d bytes", p.File, p.Size)
	}
	if !kinds[kernelbuild.Image] || !kinds[kernelbuild.Headers] {
		t.Errorf("packages %v", kinds)
	}
	for _, s := range r.Symbols {
		if !s.Holds {
			t.Errorf("%+v", s)
		}
	}
	for _, p := range r.Phases {
		t.Logf("%-14s %8.1f s, kept %v", p.Phase, p.Seconds, p.Kept)
	}
}

// objects are what a log says was compiled.
func objects(log []byte) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(string(log)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "CC" {
			out[f[len(f)-1]] = true
		}
	}
	return out
}

// quiet reads a file that may not be there yet.
func quiet(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}

// treeHash is a hash of all names and contents below a folder.
func treeHash(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode(), info.Size())
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h.Write(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
