package pci

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
)

const sampleIDs = `#
#	List of PCI ID's
#
#	Version: 2023.04.11
#	Date:    2023-04-11 03:15:02

0010  Allied Telesis, Inc (Wrong ID)
# This is a relabelled RTL-8139
	8139  AT-2500TX V3 Ethernet
104C  Texas Instruments
	8023  TSB43AB22A IEEE-1394a-2000 Controller (PHY/Link) [iOHCI-Lynx]
		103c 088c  NC8000 laptop
		1043 808b  K8N4/A8N Series Motherboard
	803a  PCIxx12 OHCI Compliant IEEE 1394 Host Controller
15d9  Super Micro Computer Inc
S 15d9
	0805  X10SAE
Z 00  Something of the future
	00 01 whatever
		x
C 0c  Serial bus controller
	03  USB controller
		30  XHCI
C 13  Non-Essential Instrumentation
`

func TestParseIDs(t *testing.T) {
	ids, err := ParseIDs([]byte(sampleIDs))
	if err != nil {
		t.Fatal(err)
	}
	firewire := ID{0x104c, 0x8023}
	for _, c := range []struct{ got, want string }{
		{ids.Version, "2023.04.11"},
		{ids.Vendor(0x104c), "Texas Instruments"},
		{ids.Device(firewire), "TSB43AB22A IEEE-1394a-2000 Controller (PHY/Link) [iOHCI-Lynx]"},
		{ids.Device(ID{0x104c, 0x803a}), "PCIxx12 OHCI Compliant IEEE 1394 Host Controller"},
		{ids.Class(0x0c0330), "USB controller"},
		{ids.Class(0x0c9900), "Serial bus controller"},
		{ids.Class(0x130000), "Non-Essential Instrumentation"},
		{ids.Class(0xff0000), ""},
		{ids.Name(opt.Of(firewire)), "Texas Instruments TSB43AB22A IEEE-1394a-2000 Controller (PHY/Link) [iOHCI-Lynx]"},
		{ids.Name(opt.Of(ID{0x104c, 0xffee})), "Texas Instruments Device ffee"},
		{ids.Name(opt.Of(ID{0xdead, 0xbeef})), "Device dead:beef"},
		{ids.Name(opt.Value[ID]{}), "Device ffff:ffff"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestParseIDsErrors(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"104c  A\n104c  B\n", `line 2: this number has a name already: "104c  B"`},
		{"104c  A\n\t8023  B\n\t8023  C\n", "line 3: this number"},
		{"\t8023  B\n", "line 1: nested under nothing"},
		{"104c  A\n\t\t103c 088c  B\n", "line 2: nested under nothing"},
		{"104c  A\n\t8023  B\n\t\t\tC\n", "line 3: nested under nothing, or too deep"},
		{"104c\n", "line 1: want a number"},
		{"104cA\n", "line 1: want a number"},
		{"10  A\n", "line 1: want a number"},
		{"104c  A\n\t8023  B\n\t\t103c  C\n", "line 3: want a number"},
		{"104c  A\n\t8023  B\n\t\t103c-088c  C\n", "line 3: want a number"},
		{"C 0x  A\n", "line 1: want a number"},
		{"S 104c\n", "line 1: generic subsystems of an unknown vendor"},
		{"104c  A\nS 104c B\n", "line 2: want a number"},
		{"104c  A\x1b[2J\n", "line 1: control characters"},
		{"104c  A\u009b2J\n", "line 1: control characters"},
		{strings.Repeat("x\n", 9), "4 more such lines"},
	} {
		ids, err := ParseIDs([]byte(c.text))
		if !errors.Is(err, ErrIDs) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.text, err, c.says)
		}
		if ids == nil {
			t.Errorf("%q: no names at all", c.text)
		}
	}
	// A bad line costs that line only.
	ids, err := ParseIDs([]byte("104c  Texas\n\tnonsense\n\t8023  Firewire\n"))
	if err == nil || ids.Device(ID{0x104c, 0x8023}) != "Firewire" {
		t.Errorf("after a bad line: %q, %v", ids.Device(ID{0x104c, 0x8023}), err)
	}
}

func packed(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLoadIDs(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string][]byte
		source string
		gaps   int
	}{
		{"none", nil, "embedded", 0},
		{"Debian", map[string][]byte{"/usr/share/misc/pci.ids": []byte(sampleIDs)}, "/usr/share/misc/pci.ids", 0},
		{"packed", map[string][]byte{"/usr/share/hwdata/pci.ids.gz": packed(t, sampleIDs)}, "/usr/share/hwdata/pci.ids.gz", 0},
		{"packed under a plain name", map[string][]byte{"/usr/share/hwdata/pci.ids": packed(t, sampleIDs)}, "/usr/share/hwdata/pci.ids", 0},
		{"broken, then good", map[string][]byte{
			"/usr/share/misc/pci.ids.gz": packed(t, sampleIDs)[:100], "/usr/share/hwdata/pci.ids": []byte(sampleIDs),
		}, "/usr/share/hwdata/pci.ids", 1},
		{"a bad line", map[string][]byte{"/usr/share/misc/pci.ids": []byte(sampleIDs + "nonsense\n")}, "/usr/share/misc/pci.ids", 1},
		{"empty", map[string][]byte{"/usr/share/misc/pci.ids": nil}, "embedded", 0},
		{"a bomb", map[string][]byte{"/usr/share/misc/pci.ids.gz": packed(t, strings.Repeat("#", maxIDs+1))}, "embedded", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				p := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ids, gaps := LoadIDs(hostfs.Root(dir))
			if ids.Source != c.source || len(gaps) != c.gaps {
				t.Errorf("from %q with gaps %v, want %q and %d", ids.Source, gaps, c.source, c.gaps)
			}
			if ids.Vendor(0x104c) != "Texas Instruments" {
				t.Errorf("vendor 104c is %q", ids.Vendor(0x104c))
			}
		})
	}
}

func TestOverlay(t *testing.T) {
	over, err := ParseIDs([]byte("104c  TI\n1234  New\n"))
	if err != nil {
		t.Fatal(err)
	}
	under := EmbeddedIDs()
	both := under.Overlay(over)
	if both.Vendor(0x104c) != "TI" || both.Vendor(0x1234) != "New" || both.Vendor(0x8086) != "Intel Corporation" {
		t.Errorf("104c %q, 1234 %q, 8086 %q", both.Vendor(0x104c), both.Vendor(0x1234), both.Vendor(0x8086))
	}
	if under.Vendor(0x104c) != "Texas Instruments" {
		t.Error("the overlay changed what lies under it")
	}
}

func FuzzParseIDs(f *testing.F) {
	f.Add([]byte(sampleIDs))
	f.Add([]byte("S 15d9\n\t0805  X\n"))
	f.Add([]byte("C 0c\n\t\t\t30  XHCI"))
	b, err := os.ReadFile("testdata/ids-2014.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := ParseIDs(b)
		if err != nil && !errors.Is(err, ErrIDs) {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, name := range ids.devices {
			if name == "" || strings.ContainsAny(name, "\n\x1b\x00") {
				t.Fatalf("a name %q", name)
			}
		}
	})
}
