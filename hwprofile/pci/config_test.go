package pci

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestCapabilities reads single capabilities from configuration spaces written
// by hand; the fixtures of pcitest are written by the same people who read them.
func TestCapabilities(t *testing.T) {
	space := func(size int, bytes map[int][]byte) Config {
		c := make(Config, size)
		c[0x06], c[0x34] = 0x10, 0x40
		for at, b := range bytes {
			copy(c[at:], b)
		}
		return c
	}
	for _, c := range []struct {
		name  string
		space Config
		want  func(c Capabilities) bool
	}{
		{"header only", space(64, nil), func(c Capabilities) bool { return c.Extent == ExtentNone }},
		{"no list", make(Config, 256), func(c Capabilities) bool { return c.Extent == ExtentAll && !c.Express.Has() }},
		{
			"power management keeps its state (NoSoftRst+)",
			space(256, map[int][]byte{0x40: {0x01, 0x00, 0x03, 0xc8, 0x08, 0x00}}),
			func(c Capabilities) bool { r, ok := c.PMReset.Get(); return ok && !r },
		},
		{
			"power management resets (NoSoftRst-)",
			space(256, map[int][]byte{0x40: {0x01, 0x00, 0x23, 0xc8, 0x00, 0x20}}),
			func(c Capabilities) bool { return c.PMReset.Or(false) },
		},
		{
			"MSI, then MSI-X, then a root port without extended space",
			space(256, map[int][]byte{0x40: {0x05, 0x50}, 0x50: {0x11, 0x60}, 0x60: {0x10, 0x00, 0x42, 0x01}}),
			func(c Capabilities) bool {
				return c.MSI && c.MSIX && c.Express.Or(99) == RootPort && c.Extent == ExtentStandard && !c.ExpressFLR
			},
		},
		{
			"an endpoint with function level reset",
			space(256, map[int][]byte{0x40: {0x10, 0x00, 0x02, 0x00, 0xc2, 0x8c, 0x2c, 0x11}}),
			func(c Capabilities) bool { return c.ExpressFLR && c.Express.Or(99) == Endpoint },
		},
		{
			"advanced features: reset and pending",
			space(256, map[int][]byte{0x40: {0x13, 0x00, 0x06, 0x03}}),
			func(c Capabilities) bool { return c.AFFLR },
		},
		{
			"advanced features: pending only",
			space(256, map[int][]byte{0x40: {0x13, 0x00, 0x06, 0x01}}),
			func(c Capabilities) bool { return !c.AFFLR },
		},
		{
			"access control and virtual functions",
			space(4096, map[int][]byte{
				0x40: {0x10, 0x00, 0x42, 0x00}, 0x100: {0x0d, 0x00, 0x81, 0x14}, 0x104: {0x0f, 0x00, 0x0d, 0x00}, 0x148: {0x10, 0x00, 0x01, 0x00},
			}),
			func(c Capabilities) bool { a, ok := c.ACS.Get(); return ok && a == ACS{0x0f, 0x0d} && c.SRIOV },
		},
		{
			"an extended loop",
			space(4096, map[int][]byte{0x40: {0x10, 0x00, 0x42, 0x00}, 0x100: {0x01, 0x00, 0x01, 0x10}}),
			func(c Capabilities) bool { return strings.Contains(c.Broken, "extended capabilities has a loop") },
		},
		{
			"an extended pointer out of the space",
			space(4096, map[int][]byte{0x40: {0x10, 0x00, 0x42, 0x00}, 0x100: {0x01, 0x00, 0x01, 0x08}}),
			func(c Capabilities) bool { return strings.Contains(c.Broken, "leads out") },
		},
		{
			"CardBus keeps its pointer elsewhere",
			space(256, map[int][]byte{0x0e: {0x02}, 0x14: {0xa0}, 0x34: {0x40}, 0x40: {0x05, 0x00}, 0xa0: {0x01, 0x00, 0x00, 0x00, 0x00, 0x00}}),
			func(c Capabilities) bool { return c.PMReset.Has() && !c.MSI },
		},
		{
			"a list that breaks before Express may show",
			space(256, map[int][]byte{0x40: {0x05, 0x40}}),
			func(c Capabilities) bool { return c.Extent == ExtentStandard && c.Broken != "" },
		},
	} {
		if got := decode(c.space); !c.want(got) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestACS(t *testing.T) {
	for _, c := range []struct {
		acs  ACS
		want bool
	}{
		{ACS{0x1d, 0x1d}, true},
		{ACS{0x1f, 0x1d}, true},  // translation blocking is not needed
		{ACS{0x1d, 0x0d}, false}, // upstream forwarding is there and off
		{ACS{0x0d, 0x0d}, true},  // and here it is hard-wired
		{ACS{0, 0}, true},
		{ACS{0x5f, 0}, false},
	} {
		if got := c.acs.Isolates(); got != c.want {
			t.Errorf("%+v: %v", c.acs, got)
		}
	}
}

func TestResources(t *testing.T) {
	// A network card with SR-IOV: 13 lines, the virtual functions' from line 7.
	const text = "0x00000000f7c00000 0x00000000f7cfffff 0x0000000000040200\n" +
		"0x0000000000000000 0x0000000000000000 0x0000000000000000\n" +
		"0x000000000000e000 0x000000000000e01f 0x0000000000040101\n" +
		"0x0000000000000000 0x0000000000000000 0x0000000000000000\n" +
		"0x0000000000000000 0x0000000000000000 0x0000000000000000\n" +
		"0x0000000000000000 0x0000000000000000 0x0000000000000000\n" +
		"0x00000000f7d00000 0x00000000f7d7ffff 0x0000000000046200\n" +
		"0x00000000f0000000 0x00000000f001ffff 0x000000000014220c\n"
	got, err := parseResources([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Resource{
		{0, 0xf7c00000, 0xf7cfffff, 0x40200}, {2, 0xe000, 0xe01f, 0x40101}, {6, 0xf7d00000, 0xf7d7ffff, 0x46200}, {7, 0xf0000000, 0xf001ffff, 0x14220c},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i, c := range []struct{ memory, io, register bool }{{true, false, true}, {false, true, true}, {true, false, false}, {true, false, false}} {
		r := got[i]
		if r.Memory() != c.memory || r.IO() != c.io || r.Register() != c.register {
			t.Errorf("%+v: memory %v, ports %v, register %v", r, r.Memory(), r.IO(), r.Register())
		}
	}
	if got[0].Size() != 1<<20 {
		t.Errorf("size %#x", got[0].Size())
	}
}

func FuzzCapabilities(f *testing.F) {
	c := make([]byte, 4096)
	copy(c, []byte{0x86, 0x80, 0x10, 0x8c, 0x07, 0x04, 0x10, 0x00, 0xd5, 0x00, 0x04, 0x06})
	c[0x34] = 0x40
	copy(c[0x40:], []byte{0x10, 0x80, 0x42, 0x01, 0x00, 0x80, 0x00, 0x00})
	copy(c[0x80:], []byte{0x05, 0x90})
	copy(c[0x100:], []byte{0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00})
	f.Add(c[:256])
	f.Add(c[:64])
	f.Add(c[:0x110])
	f.Fuzz(func(t *testing.T, b []byte) {
		// Short inputs stand for the start of a whole space.
		space := make([]byte, configExtended)
		copy(space, b)
		for _, size := range []int{len(b), configStandard, configExtended} {
			caps := decode(space[:min(size, len(space))])
			if caps.Extent == ExtentNone && (caps.Express.Has() || caps.ACS.Has()) {
				t.Errorf("capabilities without an extent: %+v", caps)
			}
			if caps.ACS.Has() && !caps.Express.Has() {
				t.Errorf("access control without PCI Express: %+v", caps)
			}
		}
		identityOf(b)
	})
}

func FuzzParseResources(f *testing.F) {
	f.Add([]byte("0x00000000f7f00000 0x00000000f7f1ffff 0x0000000000040200\n0x0 0x0 0x0\n"))
	f.Add([]byte("0x0000004000080000 0x00000040000fffff 0x0000000000140204\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, _ := parseResources(b)
		for _, r := range rs {
			if r.End < r.Start || r.Index > len(b) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestParseEvent: lines of Linux 6.1.
func TestParseEvent(t *testing.T) {
	id, subsystem, class, err := parseEvent("DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=8086:0000\nPCI_SLOT_NAME=0000:03:00.0\n" +
		"MODALIAS=pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n")
	if err != nil || id != (ID{0x8086, 0x10d3}) || subsystem != (ID{0x8086, 0}) || class != 0x020000 {
		t.Errorf("%s, %s, %s, %v", id, subsystem, class, err)
	}
	for _, bad := range []string{"", "PCI_CLASS=1020000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=8086:0000\n", "PCI_CLASS=\nPCI_ID=8086\n", "PCI_ID=8086:10D3\n"} {
		if _, _, _, err := parseEvent(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add("DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=8086:0000\nPCI_SLOT_NAME=0000:03:00.0\n")
	f.Add("PCI_CLASS=C0330\nPCI_ID=1912:0015\nPCI_SUBSYS_ID=15D9:0805")
	f.Fuzz(func(t *testing.T, text string) {
		id, subsystem, class, err := parseEvent(text)
		if err != nil {
			return
		}
		again := fmt.Sprintf("PCI_ID=%s\nPCI_SUBSYS_ID=%s\nPCI_CLASS=%s\n", id, subsystem, class)
		if i, s, c, err := parseEvent(again); err != nil || i != id || s != subsystem || c != class {
			t.Errorf("%q is read as %q, and that as %s, %s, %s, %v", text, again, i, s, c, err)
		}
	})
}
