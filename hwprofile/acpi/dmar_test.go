package acpi_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// literal is a table written by hand from the specification, so that the
// decoder is not only tested against its own encoder: one unit with an I/O
// APIC and a bridge two hops away.
var literal = []byte{
	'D', 'M', 'A', 'R', 82, 0, 0, 0, 1, 0x00, 'B', 'O', 'C', 'H', 'S', ' ', 'B', 'X', 'P', 'C', ' ', ' ', ' ', ' ',
	1, 0, 0, 0, 'B', 'X', 'P', 'C', 1, 0, 0, 0,
	38, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 34, 0, // DRHD
	1, 0, 2, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0,
	3, 8, 0, 0, 5, 0xff, 0, 0, // I/O APIC 5
	2, 10, 0, 0, 0, 0, 0x1c, 5, 0, 0, // bridge 00:1c.5 → 00.0
}

func TestParseLiteral(t *testing.T) {
	got, err := acpi.ParseDMAR(literal)
	if err != nil {
		t.Fatal(err)
	}
	want := acpi.DMAR{
		Header:       acpi.Header{Signature: "DMAR", Length: 82, Revision: 1, OEM: "BOCHS", OEMTable: "BXPC"},
		AddressWidth: 39, InterruptRemapping: true,
		Units: []acpi.Unit{{
			Segment: 2, Base: 0xfed90000, IncludeAll: true,
			Scopes: []acpi.Scope{
				{Type: acpi.ScopeIOAPIC, ID: 5, StartBus: 0xff, Path: []acpi.Hop{{0, 0}}},
				{Type: acpi.ScopeBridge, Path: []acpi.Hop{{0x1c, 5}, {0, 0}}},
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestQEMU decodes the tables of two virtual machines.
func TestQEMU(t *testing.T) {
	for name, scopes := range map[string]int{"board": 20, "switches": 19} {
		b, err := os.ReadFile("testdata/qemu-" + name + ".dmar")
		if err != nil {
			t.Fatal(err)
		}
		got, err := acpi.ParseDMAR(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.AddressWidth != 39 || !got.InterruptRemapping || !got.Header.ChecksumOK || len(got.Units) != 1 || got.Units[0].Base != 0xfed90000 {
			t.Errorf("%s: %+v", name, got)
		}
		if n := len(got.Units[0].Scopes); n != scopes {
			t.Errorf("%s: %d scopes, want %d", name, n, scopes)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"DMAR", "RMAD", "XMAR"} {
		want := acpitest.X10SAE()
		b := acpitest.DMAR(name, want)
		got, err := acpi.ParseDMAR(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want.Header = acpi.Header{Signature: name, Length: uint32(len(b)), Revision: 1, OEM: "SUPERM", OEMTable: "SMCI--MB", ChecksumOK: true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The letters turned round leave the sum as it was.
	b := acpitest.DMAR("DMAR", acpitest.X10SAE())
	copy(b, "RMAD")
	if got, err := acpi.ParseDMAR(b); err != nil || !got.Header.ChecksumOK {
		t.Errorf("DMAR turned round: %v, checksum %v", err, got.Header.ChecksumOK)
	}
	b[50]++
	if got, _ := acpi.ParseDMAR(b); got.Header.ChecksumOK {
		t.Error("a wrong sum is taken for right")
	}
}

func TestAllStructures(t *testing.T) {
	want := acpi.DMAR{
		AddressWidth: 46, X2APICOptOut: true, PlatformOptIn: true,
		Units: []acpi.Unit{{Segment: 1, Base: 0xfbffc000, Scopes: []acpi.Scope{{Type: acpi.ScopeBridge, StartBus: 0x80, Path: []acpi.Hop{{1, 0}}}}}},
		ATS: []acpi.ATSRoots{
			{Segment: 0, AllPorts: true},
			{Segment: 1, Scopes: []acpi.Scope{{Type: acpi.ScopeBridge, StartBus: 0x80, Path: []acpi.Hop{{1, 0}, {0, 1}, {3, 2}}}}},
		},
		Affinity: []acpi.Affinity{{Base: 0xfbffc000, Proximity: 1}},
		Names:    []acpi.NamedDevice{{Number: 3, Name: `\_SB.PCI0.I2C0`}},
		SATC:     []acpi.ATSCaches{{Segment: 0, Required: true, Scopes: []acpi.Scope{{Type: acpi.ScopeEndpoint, Path: []acpi.Hop{{2, 0}}}}}},
	}
	b := acpitest.DMAR("DMAR", want)
	got, err := acpi.ParseDMAR(b)
	if err != nil {
		t.Fatal(err)
	}
	want.Header = got.Header
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBrokenDMAR(t *testing.T) {
	good := acpitest.DMAR("DMAR", acpitest.X10SAE())
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte{}, good...)) }
	for _, c := range []struct {
		name  string
		table []byte
		says  string
		units int
	}{
		{"empty", nil, "0 bytes are less than a header", 0},
		{"another table", change(func(b []byte) []byte { copy(b, "APIC"); return b }), `the signature is "APIC"`, 0},
		{"cut off", good[:100], "there are 100", 0},
		{"a length below the header", change(func(b []byte) []byte { b[4], b[5] = 20, 0; return b }), "the header says 20 bytes", 0},
		{"only a header", change(func(b []byte) []byte { b[4], b[5] = 36, 0; return b }), "end before the flags", 0},
		{"a structure of no length", change(func(b []byte) []byte { b[50], b[51] = 0, 0; return b }), "offset 0x30: structure of type 0 says 0 bytes", 0},
		{"a structure past the end", change(func(b []byte) []byte { b[51] = 0x40; return b }), "offset 0x30: structure of type 0 says", 0},
		{"a scope too short", change(func(b []byte) []byte { b[65] = 6; return b }), "a scope at 0x10 says 6 bytes, 8 are left", 2},
		{"a scope past its structure", change(func(b []byte) []byte { b[65] = 12; return b }), "a scope at 0x10 says 12 bytes, 8 are left", 2},
		{"a scope of odd length", change(func(b []byte) []byte { b[65] = 7; return b }), "says 7 bytes", 2},
		{"a device that cannot be", change(func(b []byte) []byte { b[70] = 40; return b }), "leads to device 0x28", 2},
		{"bytes at the end", acpitest.Table("DMAR", append(make([]byte, 12), 0, 0)), "offset 0x30: 2 bytes after the last structure", 0},
		{"a unit too short", acpitest.Table("DMAR", append(make([]byte, 12), 0, 0, 8, 0, 0, 0, 0, 0)), "8 bytes, less than 16", 0},
		{"a range that ends before it starts", acpitest.DMAR("RMAD", acpi.DMAR{
			Units: []acpi.Unit{{Base: 1}}, Reserved: []acpi.ReservedMemory{{Base: 2, Limit: 1}},
		}), "before its start", 1},
	} {
		got, err := acpi.ParseDMAR(c.table)
		if !errors.Is(err, acpi.ErrTable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		if len(got.Units) != c.units {
			t.Errorf("%s: %d units are left, want %d", c.name, len(got.Units), c.units)
		}
	}

	// What is newer than this program is no fault.
	body := append(make([]byte, 12), 9, 0, 6, 0, 0xaa, 0xbb)
	got, err := acpi.ParseDMAR(acpitest.Table("DMAR", body))
	if diff := cmp.Diff([]acpi.Unknown{{Type: 9, Offset: 48, Length: 6}}, got.Unknown); err != nil || diff != "" {
		t.Errorf("type 9: %v\n%s", err, diff)
	}

	// Endless faults are told a few at a time.
	body = make([]byte, 12)
	for range 100 {
		body = append(body, 0, 0, 4, 0)
	}
	if _, err := acpi.ParseDMAR(acpitest.Table("DMAR", body)); err == nil || !strings.Contains(err.Error(), "and 92 more") {
		t.Errorf("a hundred faults: %v", err)
	}
}

func TestReadDMAR(t *testing.T) {
	dir := t.TempDir()
	root := hostfs.Root(dir)
	if _, err := acpi.ReadDMAR(root); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("without a table: %v", err)
	}
	folder := filepath.Join(dir, "sys/firmware/acpi/tables")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("RMAD", acpitest.DMAR("RMAD", acpitest.X10SAE()))
	got, err := acpi.ReadDMAR(root)
	if err != nil || got.Header.Signature != "RMAD" || len(got.Units) != 2 {
		t.Errorf("in Dom0: %v, %+v", err, got.Header)
	}
	put("RMAD", acpitest.DMAR("RMAD", acpitest.X10SAE())[:60])
	if _, err := acpi.ReadDMAR(root); !errors.Is(err, acpi.ErrTable) || !strings.Contains(err.Error(), "tables/RMAD") {
		t.Errorf("a broken table: %v", err)
	}
	if _, err := acpi.ReadDMAR(refusing{root}); !errors.Is(err, fs.ErrPermission) || cause.Of(err) != cause.NeedsRoot {
		t.Errorf("not as root: %v", err)
	}
	put("IVRS", amdTable())
	if ivrs, err := acpi.ReadIVRS(root); err != nil || len(ivrs.Units) != 2 {
		t.Errorf("IVRS: %v, %+v", err, ivrs)
	}
}

type refusing struct{ hostfs.Files }

func (refusing) ReadFile(path string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
}

func board(t *testing.T) *pci.Topology {
	t.Helper()
	devices, err := pci.ParseDump(pcitest.X10SAE().Dump())
	if err != nil {
		t.Fatal(err)
	}
	return pci.NewTopology(devices)
}

func at(t *testing.T, s string) pci.Address {
	t.Helper()
	a, err := pci.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhoIsCovered(t *testing.T) {
	topology, table := board(t), acpitest.X10SAE()
	for _, c := range []struct {
		device string
		unit   uint64
		ranges int
		shared bool
	}{
		{"00:02.0", 0xfed90000, 1, false},
		{"00:14.0", 0xfed91000, 1, true},
		{"00:1a.0", 0xfed91000, 1, true},
		{"01:00.0", 0xfed91000, 0, false},
	} {
		a := at(t, c.device)
		if u := table.UnitFor(topology, a); u == nil || u.Base != c.unit {
			t.Errorf("%s: unit %+v, want %#x", c.device, u, c.unit)
		}
		rs := table.ReservedFor(topology, a)
		if len(rs) != c.ranges || len(rs) > 0 && rs[0].Shared() != c.shared {
			t.Errorf("%s: ranges %+v", c.device, rs)
		}
	}
	want := []pci.Address{at(t, "00:14.0"), at(t, "00:1a.0"), at(t, "00:1d.0")}
	if diff := cmp.Diff(want, table.Reserved[0].Devices(topology)); diff != "" {
		t.Errorf("devices of the shared range (-want +got):\n%s", diff)
	}
	if u := table.UnitFor(topology, at(t, "0001:00:14.0")); u != nil {
		t.Errorf("another segment has the unit %+v", u)
	}
}

func TestScopes(t *testing.T) {
	topology := board(t)
	bridge := acpi.Unit{Base: 1, Scopes: []acpi.Scope{{Type: acpi.ScopeBridge, Path: []acpi.Hop{{0x1c, 5}}}}}
	table := acpi.DMAR{Units: []acpi.Unit{bridge}}
	if table.UnitFor(topology, at(t, "05:03.0")) == nil || table.UnitFor(topology, at(t, "00:1c.5")) == nil {
		t.Error("a bridge's scope does not cover what is below it, or itself")
	}
	if u := table.UnitFor(topology, at(t, "06:00.0")); u != nil {
		t.Errorf("06:00.0 has the unit %+v", u)
	}
	for _, c := range []struct {
		path []acpi.Hop
		want string
		says string
	}{
		{[]acpi.Hop{{0x1c, 5}, {0, 0}, {3, 0}}, "0000:05:03.0", ""},
		{[]acpi.Hop{{0x1c, 3}, {0, 0}}, "0000:03:00.0", ""},
		{[]acpi.Hop{{0x19, 0}, {0, 0}}, "0000:00:19.0", "0000:00:19.0 is no bridge"},
		{[]acpi.Hop{{0x1c, 0}, {0, 0}}, "0000:02:00.0", "no function at 0000:02:00.0"},
	} {
		a, err := acpi.Scope{Type: acpi.ScopeEndpoint, Path: c.path}.Resolve(0, topology)
		if a.String() != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v leads to %s, %v, want %s, %q", c.path, a, err, c.want, c.says)
		}
	}
}

// TestRoundTrip: what is encoded is decoded.
func TestRoundTrip(t *testing.T) {
	hop := rapid.Custom(func(t *rapid.T) acpi.Hop {
		return acpi.Hop{Device: rapid.Uint8Range(0, 31).Draw(t, "device"), Function: rapid.Uint8Range(0, 7).Draw(t, "function")}
	})
	scope := rapid.Custom(func(t *rapid.T) acpi.Scope {
		return acpi.Scope{
			Type: acpi.ScopeType(rapid.Uint8Range(1, 9).Draw(t, "type")), ID: rapid.Uint8().Draw(t, "id"), StartBus: rapid.Uint8().Draw(t, "bus"),
			Path: rapid.SliceOfN(hop, 1, 5).Draw(t, "path"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := acpi.DMAR{AddressWidth: rapid.Uint8Range(1, 64).Draw(t, "width"), InterruptRemapping: rapid.Bool().Draw(t, "ir")}
		for range rapid.IntRange(0, 3).Draw(t, "units") {
			want.Units = append(want.Units, acpi.Unit{
				Segment: rapid.Uint16().Draw(t, "segment"), Base: rapid.Uint64().Draw(t, "base"), IncludeAll: rapid.Bool().Draw(t, "all"),
				Scopes: rapid.SliceOfN(scope, 1, 4).Draw(t, "scopes"),
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			base := rapid.Uint64().Draw(t, "base")
			want.Reserved = append(want.Reserved, acpi.ReservedMemory{
				Segment: rapid.Uint16().Draw(t, "segment"), Base: base, Limit: base | 0xfff, Scopes: rapid.SliceOfN(scope, 1, 4).Draw(t, "scopes"),
			})
		}
		got, err := acpi.ParseDMAR(acpitest.DMAR("RMAD", want))
		if err != nil {
			t.Fatal(err)
		}
		want.Header = got.Header
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzParseDMAR(f *testing.F) {
	f.Add(acpitest.DMAR("DMAR", acpitest.X10SAE()))
	f.Add(acpitest.DMAR("RMAD", acpi.DMAR{SATC: []acpi.ATSCaches{{}}, Names: []acpi.NamedDevice{{Name: "x"}}, Affinity: []acpi.Affinity{{}}}))
	f.Add(literal)
	for _, name := range []string{"board", "switches"} {
		b, err := os.ReadFile("testdata/qemu-" + name + ".dmar")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	devices, err := pci.ParseDump(pcitest.X10SAE().Dump())
	if err != nil {
		f.Fatal(err)
	}
	topology := pci.NewTopology(devices)
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := acpi.ParseDMAR(b)
		if err != nil && !errors.Is(err, acpi.ErrTable) {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, u := range table.Units {
			for _, s := range u.Scopes {
				if len(s.Path) == 0 {
					t.Fatalf("a scope without a way: %+v", s)
				}
			}
		}
		table.UnitFor(topology, pci.Address{Bus: 5, Device: 3})
		table.ReservedFor(topology, pci.Address{Bus: 5, Device: 3})
	})
}
