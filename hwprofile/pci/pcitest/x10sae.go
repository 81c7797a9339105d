package pcitest

import "xtm/hwprofile/pci"

// Flags of memory and I/O ranges, as the file resource shows them.
const (
	Mem   = 0x40200
	Mem64 = 0x140204
	IO    = 0x40101
)

// X10SAE is the Supermicro board of 2014 as far as public probes of such
// boards show it: ids, numbers, ways to reset, slots filled as on the host whose
// tree was published (an HBA in the CPU's slot, slot 3 empty). Addresses of
// memory are made up but for those of 00:19.0, 1f.2 and 1f.3.
func X10SAE() Host {
	const board = "15d9:0805"
	root, endpoint, legacy, integrated := new(pci.RootPort), new(pci.Endpoint), new(pci.LegacyEndpoint), new(pci.IntegratedEndpoint)
	port := func(at, id string, secondary, subordinate uint8) Device {
		return Device{
			At: at, ID: id, Class: 0x060400, Revision: 0xd5, Header: 1, Secondary: secondary, Subordinate: subordinate,
			Multifunction: true, Express: root, PM: true, MSI: true, Driver: "pcieport",
		}
	}
	peg := port("00:01.0", "8086:0c01", 1, 1)
	peg.Multifunction, peg.Revision = false, 6
	return Host{
		{At: "00:00.0", ID: "8086:0c08", Sub: board, Class: 0x060000, Revision: 6, Driver: "ie31200_edac"},
		peg,
		{
			At: "00:02.0", ID: "8086:041a", Sub: board, Class: 0x030000, Revision: 6, AFFLR: true, NoSoftRst: true, MSI: true,
			Driver: "i915", BootVGA: true, Resets: "af_flr",
			Resources: []pci.Resource{{Index: 0, Start: 0xf7400000, End: 0xf77fffff, Flags: Mem64}, {Index: 2, Start: 0xe0000000, End: 0xefffffff, Flags: 0x14220c}},
		},
		{At: "00:03.0", ID: "8086:0c0c", Sub: board, Class: 0x040300, Revision: 6, Express: integrated, FLR: true, NoSoftRst: true, MSI: true, Driver: "snd_hda_intel", Resets: "flr"},
		{At: "00:14.0", ID: "8086:8c31", Sub: board, Class: 0x0c0330, Revision: 5, NoSoftRst: true, MSI: true, Driver: "xhci_hcd"},
		{At: "00:16.0", ID: "8086:8c3a", Sub: board, Class: 0x078000, Revision: 4, Multifunction: true, NoSoftRst: true, MSI: true, Driver: "mei_me"},
		{At: "00:16.3", ID: "8086:8c3d", Sub: board, Class: 0x070002, Revision: 4, Multifunction: true, NoSoftRst: true, MSI: true, Driver: "serial", IRQ: 19},
		{
			At: "00:19.0", ID: "8086:153a", Sub: board, Class: 0x020000, Revision: 5, AFFLR: true, PM: true, MSI: true,
			Driver: "e1000e", Label: "Intel Ethernet i217LM #1", Resets: "af_flr pm",
			Resources: []pci.Resource{{Index: 0, Start: 0xf7f00000, End: 0xf7f1ffff, Flags: Mem}, {Index: 1, Start: 0xf7f3b000, End: 0xf7f3bfff, Flags: Mem}, {Index: 2, Start: 0xf080, End: 0xf09f, Flags: IO}},
		},
		{At: "00:1a.0", ID: "8086:8c2d", Sub: board, Class: 0x0c0320, Revision: 5, AFFLR: true, NoSoftRst: true, Driver: "ehci-pci", Resets: "af_flr", IRQ: 16},
		{At: "00:1b.0", ID: "8086:8c20", Sub: board, Class: 0x040300, Revision: 5, Express: integrated, FLR: true, NoSoftRst: true, MSI: true, Driver: "snd_hda_intel", Resets: "flr"},
		port("00:1c.0", "8086:8c10", 2, 2),
		port("00:1c.3", "8086:8c16", 3, 3),
		port("00:1c.5", "8086:8c1a", 4, 5),
		port("00:1c.6", "8086:8c1c", 6, 6),
		port("00:1c.7", "8086:8c1e", 7, 7),
		{At: "00:1d.0", ID: "8086:8c26", Sub: board, Class: 0x0c0320, Revision: 5, AFFLR: true, NoSoftRst: true, Driver: "ehci-pci", Resets: "af_flr", IRQ: 23},
		{At: "00:1f.0", ID: "8086:8c56", Sub: board, Class: 0x060100, Revision: 5, Multifunction: true, RCBA: true, Driver: "lpc_ich"},
		{
			At: "00:1f.2", ID: "8086:8c02", Sub: board, Class: 0x010601, Revision: 5, Multifunction: true, NoSoftRst: true, MSI: true, Driver: "ahci",
			Resources: []pci.Resource{{Index: 5, Start: 0xf7f3a000, End: 0xf7f3a7ff, Flags: Mem}},
		},
		{
			At: "00:1f.3", ID: "8086:8c22", Sub: board, Class: 0x0c0500, Revision: 5, Multifunction: true, Driver: "i801_smbus", IRQ: 18,
			Resources: []pci.Resource{{Index: 0, Start: 0xf7f39000, End: 0xf7f390ff, Flags: Mem64}, {Index: 4, Start: 0xf040, End: 0xf05f, Flags: IO}},
		},
		{At: "00:1f.6", ID: "8086:8c24", Sub: board, Class: 0x118000, Revision: 5, Multifunction: true, NoSoftRst: true, MSI: true, Driver: "intel_pch_thermal"},
		{
			At: "01:00.0", ID: "1000:0072", Sub: "1000:3020", Class: 0x010700, Revision: 3, Express: endpoint, FLR: true, NoSoftRst: true, MSI: true, MSIX: true,
			Driver: "mpt3sas", Resets: "flr bus",
			Resources: []pci.Resource{{Index: 1, Start: 0xf7cc0000, End: 0xf7ccffff, Flags: Mem64}, {Index: 3, Start: 0xf7c80000, End: 0xf7cbffff, Flags: Mem64}},
		},
		{
			At: "03:00.0", ID: "8086:1533", Sub: "15d9:1533", Class: 0x020000, Revision: 3, Express: endpoint, FLR: true, PM: true, MSI: true, MSIX: true,
			Driver: "igb", Label: "Intel Ethernet i210IT #2", Resets: "flr pm bus",
			Resources: []pci.Resource{{Index: 0, Start: 0xf7a00000, End: 0xf7afffff, Flags: Mem}, {Index: 3, Start: 0xf7b00000, End: 0xf7b03fff, Flags: Mem}},
		},
		{At: "04:00.0", ID: "10e3:8113", Class: 0x060401, Revision: 1, Header: 1, Primary: 4, Secondary: 5, Subordinate: 5, PM: true},
		{
			At: "05:03.0", ID: "104c:8023", Sub: board, Class: 0x0c0010, Revision: 0, PM: true, Driver: "firewire_ohci", Resets: "pm", IRQ: 17,
			Resources: []pci.Resource{{Index: 0, Start: 0xf7904000, End: 0xf79047ff, Flags: Mem}, {Index: 1, Start: 0xf7900000, End: 0xf7903fff, Flags: Mem}},
		},
		{At: "06:00.0", ID: "1912:0015", Sub: board, Class: 0x0c0330, Revision: 2, Express: endpoint, NoSoftRst: true, MSI: true, MSIX: true, Driver: "xhci_hcd", Resets: "bus"},
		{At: "07:00.0", ID: "1b21:0612", Sub: board, Class: 0x010601, Revision: 1, Express: legacy, NoSoftRst: true, MSI: true, Driver: "ahci", Resets: "bus"},
	}
}
