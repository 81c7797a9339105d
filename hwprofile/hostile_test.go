package hwprofile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"xtm/hwprofile"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/xen/xl"
)

// user is somebody else than root: 64 bytes of each configuration space, no
// tables of the firmware.
type user struct{ hostfs.Files }

func (u user) ReadFile(name string) ([]byte, error) {
	if strings.HasPrefix(name, "/sys/firmware/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	b, err := u.Files.ReadFile(name)
	if strings.HasSuffix(name, "/config") && len(b) > 64 {
		b = b[:64]
	}
	return b, err
}

// TestWithoutRoot: less is seen, and nothing is made up.
func TestWithoutRoot(t *testing.T) {
	m := bare()
	p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: user{hostfs.Root(m.Write(t))}, Run: m.XL.Run})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Devices) != len(m.PCI) || p.IOMMU.State != hwprofile.IOMMUOff || p.IOMMU.DMAR != nil || p.GroupsBy != "" {
		t.Errorf("%d devices, IOMMU %s, groups by %q", len(p.Devices), p.IOMMU.State, p.GroupsBy)
	}
	for at, want := range map[string]hwprofile.Answer{"01:00.0": hwprofile.Unknown, "00:1f.2": hwprofile.NotReady, "00:1f.0": hwprofile.NotReady} {
		if r := readiness(t, p, at); r.Answer != want {
			t.Errorf("%s is %s: %+v", at, r.Answer, r.Reasons)
		}
	}
	var needs int
	for _, g := range p.Gaps {
		if g.Cause == "needs_root" {
			needs++
		}
	}
	if needs == 0 || len(p.Gaps) > 12 {
		t.Errorf("%d gaps, %d of them for root: %v", len(p.Gaps), needs, p.Gaps)
	}
}

// TestEmpty: a machine that shows nothing.
func TestEmpty(t *testing.T) {
	p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: hostfs.Root(t.TempDir()), Run: hwprofile.NoPrograms})
	if err != nil || len(p.Devices) != 0 || p.IOMMU.State != hwprofile.IOMMUUnknown || p.CPU.Threads.Has() || p.Memory.Total.Has() {
		t.Errorf("%v: %+v", err, p)
	}
}

// TestHostile is scenario 5 for the whole profile: every file of the machine is
// replaced in turn, and no device is lost.
func TestHostile(t *testing.T) {
	m := hwtest.X10SAE()
	dir := m.Write(t)
	files := pcitest.Dir(dir)
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		// Package pci does this to the files of devices; one of them here.
		if err == nil && d.Type().IsRegular() && (!strings.Contains(path, "/pci0000:") || strings.Contains(path, "0000:01:00.0/")) {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"", "\x00\xff:\n\x1b[31m", strings.Repeat("9", 300) + " : \n"} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: files, Run: m.XL.Run, Hypervisor: xl.New(m.XL.Run, files)})
			if err != nil || len(p.Devices) != len(m.PCI) || len(p.Passthrough) != len(m.PCI) {
				t.Errorf("%s as %q: %d devices, %d judged, %v", name, text, len(p.Devices), len(p.Passthrough), err)
			}
		}
		if err := os.WriteFile(name, old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThisMachine: the profile of whatever runs the test.
func TestThisMachine(t *testing.T) {
	start := run.New(os.Environ())
	p, err := hwprofile.Read(t.Context(), hwprofile.Machine{Files: hostfs.Host, Run: start, Hypervisor: xl.New(start, hostfs.Host)})
	if err != nil || !p.CPU.Threads.Has() && p.Role != "host" {
		t.Errorf("%v, %+v", err, p.CPU)
	}
	if len(p.Passthrough) != len(p.Devices) {
		t.Errorf("%d of %d devices were judged", len(p.Passthrough), len(p.Devices))
	}
}

// large is 150 functions behind root ports and switches, with the rest of the
// X10SAE around them.
func large(b *testing.B) (*hwtest.Machine, pcitest.Dir) {
	b.Helper()
	m := bare()
	m.PCI = pcitest.Large(150)
	return m, pcitest.Dir(m.Write(b))
}

// BenchmarkProfile is everything that detect reads and judges, names and the
// drawn tree with it.
func BenchmarkProfile(b *testing.B) {
	m, dir := large(b)
	for b.Loop() {
		p, err := hwprofile.Read(b.Context(), hwprofile.Machine{Files: withIDs{dir}, Run: m.XL.Run})
		if err != nil || len(p.Devices) != len(m.PCI) {
			b.Fatal(len(p.Devices), err)
		}
		p.LspciTree()
	}
}

// withIDs adds the names of the machine that runs the benchmark.
type withIDs struct{ pcitest.Dir }

func (f withIDs) ReadFile(name string) ([]byte, error) {
	if strings.HasSuffix(name, "/pci.ids") {
		return os.ReadFile(name)
	}
	return f.Dir.ReadFile(name)
}

// BenchmarkLspci is what lspci takes for the tree and for everything.
func BenchmarkLspci(b *testing.B) {
	_, dir := large(b)
	start := run.New(os.Environ())
	for b.Loop() {
		for _, how := range []string{"-tv", "-vvv"} {
			c := run.Cmd{Name: "lspci", Args: []string{"-O", "sysfs.path=" + filepath.Join(string(dir), "sys/bus/pci"), how}}
			r, err := start(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Check(c); err != nil {
				b.Fatal(err)
			}
		}
	}
}
