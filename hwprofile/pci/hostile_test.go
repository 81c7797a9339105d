package pci_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/xen"
)

// denied refuses files by their last part, as a kernel refuses other users.
type denied struct {
	hostfs.Files
	name string
}

func (d denied) ReadFile(path string) ([]byte, error) {
	if filepath.Base(path) == d.name {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return d.Files.ReadFile(path)
}

func (d denied) ReadDir(path string) ([]string, error) {
	if d.name == "*" && filepath.Base(path) != "devices" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return d.Files.ReadDir(path)
}

func says(gaps []xen.Gap, what, why string) bool {
	for _, g := range gaps {
		if strings.Contains(g.What, what) && strings.Contains(g.Why, why) {
			return true
		}
	}
	return false
}

// TestHostileFiles spoils one thing of the board at a time: no device may get
// lost, and what is wrong must be said.
func TestHostileFiles(t *testing.T) {
	pcitest.InMemory(t)
	const dir = "sys/devices/pci0000:00/0000:00:19.0"
	const entry = "sys/bus/pci/devices/0000:00:19.0"
	for _, c := range []struct {
		name      string
		spoil     func(root string) error
		what, why string // of a gap; "" none is needed
	}{
		{"no configuration space", func(root string) error { return os.Remove(filepath.Join(root, dir, "config")) }, "", ""},
		{"a short one", write(dir+"/config", "\x86\x80"), "config of PCI device 0000:00:19.0", "2 bytes, less than the header"},
		{"an empty one", write(dir+"/config", ""), "config", "0 bytes"},
		{"one too long", write(dir+"/config", strings.Repeat("\xff", 9000)), "config", "reads as ff"},
		{"a loop of capabilities", config(func(c []byte) { c[0x34], c[0x06], c[0x41] = 0x40, 0x10, 0x40 }), "config", "has a loop"},
		{"a capability in the header", config(func(c []byte) { c[0x34], c[0x06] = 0x10, 0x10 }), "config", "leads into the header"},
		{"no class", func(root string) error { return os.Remove(filepath.Join(root, dir, "class")) }, "", ""},
		{"a class of words", without(dir+"/uevent", write(dir+"/class", "network\n")), "class", `want 0x and digits, not "network"`},
		{"a class too wide", without(dir+"/uevent", write(dir+"/class", "0x02000000\n")), "class", "want 24 bits"},
		{"terminal codes", write(dir+"/label", "a\x1b[2Jb\n"), "label", "control characters"},
		{"a vendor too long", without(dir+"/uevent", write(dir+"/vendor", "0x"+strings.Repeat("8", 100000))), "vendor", "want 16 bits"},
		{"an event without a class", write(dir+"/uevent", "PCI_ID=8086:153A\nPCI_SUBSYS_ID=15D9:0805\n"), "uevent", "2 of PCI_ID, PCI_SUBSYS_ID and PCI_CLASS"},
		{"an event of words", write(dir+"/uevent", "PCI_ID=a:b\n"), "uevent", `parse PCI id "a:b"`},
		{"an endless event", write(dir+"/uevent", strings.Repeat("x", 1<<20)), "uevent", "0 of PCI_ID"},
		{"resources of words", write(dir+"/resource", "here there everywhere\n"), "resource", "line 1: want hexadecimal numbers"},
		{"resources of two columns", write(dir+"/resource", "0x0 0x1\n"), "resource", "line 1: want start, end and flags"},
		{"a resource that ends before it starts", write(dir+"/resource", "0x2 0x1 0x200\n"), "resource", "the end is before the start"},
		{"endless resources", write(dir+"/resource", strings.Repeat("0x0 0x0 0x0\n", 10000)), "resource", "more than a page"},
		{"a group of words", link(dir+"/iommu_group", "../../../kernel/iommu_groups/x"), "iommu_group", "not to a number"},
		{"an irq of words", write(dir+"/irq", "many"), "irq", "want a number"},
		{"an entry without digits", mkdir("sys/bus/pci/devices/nonsense"), `"nonsense"`, "no PCI address"},
		{"an entry in capitals", mkdir("sys/bus/pci/devices/0000:00:1F.7"), `"0000:00:1F.7"`, "no PCI address"},
		{"an entry with terminal codes", mkdir("sys/bus/pci/devices/\x1b[2J"), `"\x1b[2J"`, "no PCI address"},
		{"a folder instead of a link", func(root string) error {
			return errors.Join(os.Remove(filepath.Join(root, entry)), os.Rename(filepath.Join(root, dir), filepath.Join(root, entry)))
		}, "", ""},
		{"a link to another device", relink(entry, "../../../devices/pci0000:00/0000:00:1f.0"), "path", "another device's folder"},
		{"a link to itself", relink(entry, "0000:00:19.0"), "folder", ""},
		{"a link out of the root", relink(entry, "/../../../../../../0000:00:19.0"), "folder", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := string(pcitest.X10SAE().Write(t))
			if err := c.spoil(root); err != nil {
				t.Fatal(err)
			}
			devices, gaps, err := pci.Read(hostfs.Root(root))
			if err != nil {
				t.Fatal(err)
			}
			if len(devices) != len(pcitest.X10SAE()) {
				t.Errorf("%d devices", len(devices))
			}
			if c.what == "" && len(gaps) != 0 || c.what != "" && !says(gaps, c.what, c.why) {
				t.Errorf("gaps %v, want %q: %q", gaps, c.what, c.why)
			}
			topology := pci.NewTopology(devices)
			checkOnce(t, topology, len(devices))
			if n := strings.Count(string(topology.LspciTree(nil, pci.PerDomain)), "\n"); n != 20 {
				t.Errorf("%d lines are drawn", n)
			}
		})
	}
}

func write(name, text string) func(string) error {
	return func(root string) error { return os.WriteFile(filepath.Join(root, name), []byte(text), 0o600) }
}

func without(name string, f func(string) error) func(string) error {
	return func(root string) error { return errors.Join(os.Remove(filepath.Join(root, name)), f(root)) }
}

func mkdir(name string) func(string) error {
	return func(root string) error { return os.Mkdir(filepath.Join(root, name), 0o755) }
}

func link(name, target string) func(string) error {
	return func(root string) error { return os.Symlink(target, filepath.Join(root, name)) }
}

func relink(name, target string) func(string) error {
	return func(root string) error {
		return errors.Join(os.Remove(filepath.Join(root, name)), link(name, target)(root))
	}
}

// config changes the configuration space of 00:19.0.
func config(change func(c []byte)) func(string) error {
	return func(root string) error {
		name := filepath.Join(root, "sys/devices/pci0000:00/0000:00:19.0/config")
		c, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		change(c)
		return os.WriteFile(name, c, 0o600)
	}
}

func TestDenied(t *testing.T) {
	pcitest.InMemory(t)
	dir := pcitest.X10SAE().Write(t)
	for _, name := range []string{"config", "resource", "*"} {
		devices, gaps, err := pci.Read(denied{dir, name})
		if err != nil || len(devices) != len(pcitest.X10SAE()) {
			t.Fatalf("%s: %d devices, %v", name, len(devices), err)
		}
		if len(gaps) != len(devices) || gaps[0].Cause != cause.NeedsRoot {
			t.Errorf("%s: gaps %v", name, gaps)
		}
		if name == "config" {
			if got := devices[0].ID.Or(pci.ID{}).String(); got != "8086:0c08" {
				t.Errorf("without configuration space the host bridge is %s", got)
			}
			if _, err := pci.NewTopology(devices).ComputedGroups(pci.Rules{}); !errors.Is(err, cause.ErrNoData) {
				t.Errorf("groups without any configuration space: %v", err)
			}
		}
	}
}

func TestNoPCI(t *testing.T) {
	if _, _, err := pci.Read(hostfs.Root(t.TempDir())); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("without PCI: %v", err)
	}
	if _, _, err := pci.Read(pcitest.Host{}.Write(t)); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("with an empty folder: %v", err)
	}
}

// TestLostRootBus: a bridge that was never configured does not take bus 0.
func TestLostRootBus(t *testing.T) {
	h := pcitest.Host{
		{At: "00:00.0", ID: "8086:3c00", Class: 0x060000},
		{At: "00:11.0", ID: "8086:1d3e", Class: 0x060400, Header: 1},
		{At: "00:1f.0", ID: "8086:1d41", Class: 0x060100},
	}
	const want = "" +
		"-[0000:00]-+-00.0\n" +
		"           +-11.0--\n" +
		"           \\-1f.0\n"
	if got := string(topologyOf(t, h).LspciTree(nil, pci.PerDomain)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestManyRoots has several root buses and domains, in both layouts.
func TestManyRoots(t *testing.T) {
	var h pcitest.Host
	for _, at := range []string{"00:00.0", "7f:08.0", "80:02.0", "ff:08.0", "10000:00:02.0"} {
		h = append(h, pcitest.Device{At: at, ID: "abcd:0001", Class: 0x088000})
	}
	topology := topologyOf(t, h)
	const perDomain = "" +
		"-+-[0000:00]---00.0\n" +
		" +-[0000:7f]---08.0\n" +
		" +-[0000:80]---02.0\n" +
		" \\-[0000:ff]---08.0\n" +
		"-[10000:00]---02.0\n"
	const forest = "" +
		"-+-[0000:00]---00.0\n" +
		" +-[0000:7f]---08.0\n" +
		" +-[0000:80]---02.0\n" +
		" +-[0000:ff]---08.0\n" +
		" \\-[10000:00]---02.0\n"
	for layout, want := range map[pci.Layout]string{pci.PerDomain: perDomain, pci.Forest: forest} {
		if got := string(topology.LspciTree(nil, layout)); got != want {
			t.Errorf("layout %d: got\n%swant\n%s", layout, got, want)
		}
	}
}

// TestLoops has bridges that stand on each other's buses.
func TestLoops(t *testing.T) {
	h := pcitest.Host{
		{At: "03:00.0", ID: "abcd:0001", Class: 0x060400, Header: 1, Secondary: 5, Subordinate: 6, Parent: "05:00.0"},
		{At: "05:00.0", ID: "abcd:0001", Class: 0x060400, Header: 1, Secondary: 3, Subordinate: 4, Parent: "03:00.0"},
		{At: "04:00.0", ID: "abcd:0001", Class: 0x060400, Header: 1, Secondary: 4, Subordinate: 4, Parent: "root"},
		{At: "06:00.0", ID: "abcd:0002", Class: 0x088000},
	}
	fromDump := topologyOf(t, h)
	checkOnce(t, fromDump, len(h))

	devices, _, err := pci.Read(h.Write(t))
	if err != nil {
		t.Fatal(err)
	}
	topology := pci.NewTopology(devices)
	checkOnce(t, topology, len(h))
	if !says(topology.Gaps, "0000:03:00.0", "below itself by way of 0000:05:00.0") {
		t.Errorf("gaps %v", topology.Gaps)
	}
	for _, d := range devices {
		if n := len(topology.Above(d.Address)); n > 2 {
			t.Errorf("%d bridges above %s", n, d.Address)
		}
		topology.Requesters(d.Address)
	}
	if _, err := topology.ComputedGroups(pci.Rules{}); err != nil {
		t.Error(err)
	}
}

// TestAnyHost: whatever the registers and the paths say, each device is in the
// tree once and in one group of each kind.
func TestAnyHost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "functions")
		seen := map[pci.Address]bool{}
		var devices []pci.Device
		var all []pci.Address
		for range n {
			a := pci.Address{
				Domain: rapid.Uint32Range(0, 1).Draw(rt, "domain"), Bus: rapid.Uint8Range(0, 7).Draw(rt, "bus"),
				Device: rapid.Uint8Range(0, 3).Draw(rt, "device"), Function: rapid.Uint8Range(0, 7).Draw(rt, "function"),
			}
			if !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
		for _, a := range all {
			kind := pci.PortType(rapid.Uint8Range(0, 10).Draw(rt, "kind"))
			made := pcitest.Device{
				At: a.String(), ID: rapid.SampledFrom([]string{"8086:8c10", "10e3:8113", "1b4b:9123", "1180:e476", "abcd:0001"}).Draw(rt, "id"),
				Class: rapid.SampledFrom([]uint32{0x060400, 0x060700, 0x020000}).Draw(rt, "class"), Header: rapid.Uint8Range(0, 2).Draw(rt, "header"),
				Secondary: rapid.Uint8Range(0, 7).Draw(rt, "secondary"), Subordinate: rapid.Uint8Range(0, 7).Draw(rt, "subordinate"),
				ConfigSize: rapid.SampledFrom([]int{0, 256, 64, 16}).Draw(rt, "size"), Multifunction: rapid.Bool().Draw(rt, "multifunction"),
			}
			if rapid.Bool().Draw(rt, "express") {
				made.Express = &kind
			}
			parsed, err := pci.ParseDump(pcitest.Host{made}.Dump())
			if err != nil {
				rt.Fatal(err)
			}
			d := parsed[0]
			if rapid.Bool().Draw(rt, "has parent") {
				text := fmt.Sprintf(`{"parent":%q}`, rapid.SampledFrom(all).Draw(rt, "parent"))
				if err := d.Parent.UnmarshalJSON([]byte(text[len(`{"parent":`) : len(text)-1])); err != nil {
					rt.Fatal(err)
				}
			}
			d.OnRootBus = rapid.Bool().Draw(rt, "on root")
			devices = append(devices, d)
		}
		topology := pci.NewTopology(devices)
		checkOnce(rt, topology, len(all))
		kinds := [][]pci.Group{topology.XenGroups()}
		if groups, err := topology.ComputedGroups(pci.Rules{}); err == nil {
			kinds = append(kinds, groups)
		}
		for _, groups := range kinds {
			members := 0
			for _, g := range groups {
				members += len(g.Members)
			}
			if members != len(all) {
				rt.Fatalf("%d of %d functions are in a group", members, len(all))
			}
		}
		for _, a := range all {
			if ids := topology.Requesters(a); len(ids) == 0 || ids[0].ID != a {
				rt.Fatalf("requesters of %s: %v", a, ids)
			}
		}
		topology.LspciTree(nil, pci.Forest)
	})
}

func FuzzParseDump(f *testing.F) {
	board := pcitest.X10SAE()
	for i := range board {
		board[i].ConfigSize = 128
	}
	f.Add(board[12:13].Dump())
	f.Add(board[22:24].Dump())
	f.Add([]byte("00:1f.2 SATA controller: Intel\n\tFlags: bus master\n00: 86 80 02 8c\n04: 07\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		devices, err := pci.ParseDump(b)
		if err != nil {
			if !errors.Is(err, pci.ErrDump) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		topology := pci.NewTopology(devices)
		checkOnce(t, topology, len(devices))
		topology.XenGroups()
		topology.LspciTree(nil, pci.PerDomain)
		if _, err := topology.ComputedGroups(pci.Rules{}); err != nil && len(devices) == 0 {
			return
		}
	})
}

func TestParseDumpErrors(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"00: 86 80\n", "line 1: bytes before the first device"},
		{"00:1f.2 X\n10: 86 80\n", "line 2: offset 0x10 follows 0x0 bytes"},
		{"00:1f.2 X\n00: 8g\n", "line 2: want pairs"},
		{"00:1f.2 X\n00:1f.2 Y\n", "line 2: the device of line 1 again"},
		{"hello\n", "line 1: neither a device nor bytes"},
		{"00:1f.2 X\nzz: 00\n", "line 2: the offset"},
		{"00:1f.2 X\n00: " + strings.Repeat("00 ", 5000) + "\n", "more than 4096 bytes"},
		{strings.Repeat("x", 1<<17), "token too long"},
	} {
		if _, err := pci.ParseDump([]byte(c.text)); !errors.Is(err, pci.ErrDump) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.says)
		}
	}
}
