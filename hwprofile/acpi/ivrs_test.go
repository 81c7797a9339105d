package acpi_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/pci"
)

// block puts type, flags and length before a block of an IVRS.
func block(kind, flags uint8, body ...byte) []byte {
	b := []byte{kind, flags, 0, 0}
	binary.LittleEndian.PutUint16(b[2:], uint16(4+len(body)))
	return append(b, body...)
}

// unit is the head of an IVHD for the function 00:00.2 at feb80000, segment 0.
func unit(kind uint8, entries ...byte) []byte {
	body := []byte{0x02, 0, 0x40, 0, 0, 0, 0xb8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0, 0, 0}
	if kind != 0x10 {
		body = append(body, make([]byte, 16)...)
	}
	return block(kind, 0x3e, append(body, entries...)...)
}

// amdTable is made after the tables of desktop boards of AMD's 900 series: a
// unit in the old and in the new form, and two fixed ranges.
func amdTable() []byte {
	body := []byte{0x00, 0x30, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	body = append(body, unit(
		0x10,
		0x02, 0x00, 0x00, 0x00, // select 00:00.0
		0x03, 0x08, 0x00, 0x00, 0x04, 0xfe, 0xff, 0x00, // range 00:01.0 to ff:1f.6
		0x43, 0x00, 0x05, 0x00, 0x00, 0xa4, 0x00, 0x00, 0x04, 0xff, 0x05, 0x00, // 05:00.0 to 05:1f.7 use 00:14.4
		0x00, 0x00, 0x00, 0x00, // padding
		0x48, 0x00, 0x00, 0xd7, 0x07, 0xa0, 0x00, 0x01, // I/O APIC 7 as 00:14.0
		0x48, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x00, 0x02, // HPET
	)...)
	body = append(body, unit(
		0x40,
		append([]byte{0xf0, 0xa5, 0x00, 0x40, 'A', 'M', 'D', 'I', '0', '0', '2', '0', 0, 0, 0, 0, 0, 0, 0, 0, 2, 4}, "UID0"...)...,
	)...)
	body = append(body, block(0x21, 0x08, append([]byte{0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0xcd, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0)...)...)
	body = append(body, block(0x22, 0x0f, append([]byte{0x00, 0x01, 0x07, 0x01, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0xce, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0)...)...)
	return acpitest.Table("IVRS", body)
}

func TestParseIVRS(t *testing.T) {
	got, err := acpi.ParseIVRS(amdTable())
	if err != nil {
		t.Fatal(err)
	}
	a := func(s string) pci.Address { return at(t, s) }
	want := acpi.IVRS{
		Header: got.Header, Info: 0x203000,
		Units: []acpi.AMDUnit{
			{
				Type: 0x10, Flags: 0x3e, Address: a("00:00.2"), Base: 0xfeb80000,
				Entries: []acpi.AMDEntry{
					{Kind: acpi.AMDSelect, First: a("00:00.0"), Last: a("00:00.0")},
					{Kind: acpi.AMDRange, First: a("00:01.0"), Last: a("ff:1f.6")},
					{Kind: acpi.AMDRange, First: a("05:00.0"), Last: a("05:1f.7"), Aliased: true, Alias: a("00:14.4")},
					{Kind: acpi.AMDSpecial, First: a("00:14.0"), Last: a("00:14.0"), Setting: 0xd7, Special: 7, SpecialSort: 1},
					{Kind: acpi.AMDSpecial, First: a("00:14.0"), Last: a("00:14.0"), SpecialSort: 2},
				},
			},
			{
				Type: 0x40, Flags: 0x3e, Address: a("00:00.2"), Base: 0xfeb80000,
				Entries: []acpi.AMDEntry{{Kind: acpi.AMDNamed, First: a("00:14.5"), Last: a("00:14.5"), Setting: 0x40, Name: "AMDI0020"}},
			},
		},
		Reserved: []acpi.AMDReserved{
			{Type: 0x21, Flags: 0x08, First: a("00:13.0"), Last: a("00:13.0"), Start: 0xcd000000, Size: 0x2000},
			{Type: 0x22, Flags: 0x0f, First: a("01:00.0"), Last: a("01:00.7"), Start: 0xce000000, Size: 0x1000},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.Header.ChecksumOK {
		t.Errorf("checksum %v", got.Header.ChecksumOK)
	}
	if rs := got.ReservedFor(a("01:00.3")); len(rs) != 1 || rs[0].Start != 0xce000000 {
		t.Errorf("ranges of 01:00.3: %+v", rs)
	}
	// The unit of type 40h stands for the same one: only its entries count.
	if us := got.UnitsFor(a("00:14.5")); len(us) != 1 || us[0].Type != 0x40 {
		t.Errorf("units of 00:14.5: %+v", us)
	}
	got.Units = got.Units[:1]
	if us := got.UnitsFor(a("01:00.0")); len(us) != 1 {
		t.Errorf("units of 01:00.0: %+v", us)
	}
	if us := got.UnitsFor(a("0001:01:00.0")); len(us) != 0 {
		t.Errorf("units of another segment: %+v", us)
	}
}

func TestBrokenIVRS(t *testing.T) {
	table := func(blocks ...byte) []byte { return acpitest.Table("IVRS", append(make([]byte, 12), blocks...)) }
	for _, c := range []struct {
		name  string
		table []byte
		says  string
	}{
		{"a DMAR", acpitest.DMAR("DMAR", acpitest.X10SAE()), `the signature is "DMAR"`},
		{"no blocks", acpitest.Table("IVRS", nil), "end before the first block"},
		{"a block of no length", table(0x10, 0, 0, 0), "offset 0x30: block of type 0x10 says 0 bytes"},
		{"a block past the end", table(0x10, 0, 0xff, 0), "says 255 bytes, 4 are left"},
		{"bytes at the end", table(0x10, 0), "2 bytes after the last block"},
		{"a unit too short", table(block(0x11, 0, make([]byte, 30)...)...), "34 bytes, less than 40"},
		{"a range too short", table(block(0x20, 0)...), "4 bytes, less than 32"},
		{"an entry cut off", table(unit(0x10, 0x46, 0, 0, 0)...), "an entry of type 0x46 at 0x18 is cut off"},
		{"a name cut off", table(unit(0x40, 0xf0, 0, 0, 0)...), "an entry of type 0xf0 at 0x28 is cut off"},
		{"an end without a start", table(unit(0x10, 0x04, 8, 0, 0)...), "a range ends at 0x18 that did not begin"},
		{"a start without an end", table(unit(0x10, 0x03, 8, 0, 0)...), "the range from 0000:00:01.0 has no end"},
		{"an end before its start", table(unit(0x10, 0x03, 16, 0, 0, 0x04, 8, 0, 0)...), "before its start"},
	} {
		if _, err := acpi.ParseIVRS(c.table); !errors.Is(err, acpi.ErrTable) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	got, err := acpi.ParseIVRS(table(block(0x50, 0, 1, 2)...))
	if diff := cmp.Diff([]acpi.Unknown{{Type: 0x50, Offset: 48, Length: 6}}, got.Unknown); err != nil || diff != "" {
		t.Errorf("an unknown block: %v\n%s", err, diff)
	}
	all, err := acpi.ParseIVRS(table(append(unit(0x11, 0x01, 0, 0, 0x10), block(0x20, 1, make([]byte, 28)...)...)...))
	if err != nil || len(all.UnitsFor(at(t, "7f:1f.7"))) != 1 || len(all.ReservedFor(at(t, "7f:1f.7"))) != 1 {
		t.Errorf("all functions: %v, %+v", err, all)
	}
}

func FuzzParseIVRS(f *testing.F) {
	f.Add(amdTable())
	f.Add(acpitest.Table("IVRS", append(make([]byte, 12), unit(0x11, 0x01, 0, 0, 0)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := acpi.ParseIVRS(b)
		if err != nil && !errors.Is(err, acpi.ErrTable) {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, u := range table.Units {
			for _, e := range u.Entries {
				if e.Last.Compare(e.First) < 0 {
					t.Fatalf("a range that ends before it starts: %+v", e)
				}
			}
		}
		table.UnitsFor(pci.Address{Bus: 5})
		table.ReservedFor(pci.Address{Bus: 5})
	})
}
