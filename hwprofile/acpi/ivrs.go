package acpi

import (
	"encoding/binary"
	"fmt"

	"xtm/hwprofile/pci"
)

// IVRS is the table of AMD's IOMMU: AMD I/O Virtualization Technology
// Specification, revision 3.08, chapter 5. Xen does not rename it.
type IVRS struct {
	Header Header `json:"header"`
	// Info is the word of address sizes in bits: physical ones in bits 8 to 14,
	// those that a device may use in bits 15 to 21.
	Info uint32 `json:"info"`

	// Units holds one entry for each block: a unit has up to three, of types
	// 10h, 11h and 40h, and a system uses the highest it knows.
	Units    []AMDUnit     `json:"units"`
	Reserved []AMDReserved `json:"reserved,omitempty"`
	Unknown  []Unknown     `json:"unknown,omitempty"`
}

// AMDUnit is one block that describes an IOMMU (IVHD).
type AMDUnit struct {
	Type  uint8 `json:"type"` // 0x10, 0x11 or 0x40
	Flags uint8 `json:"flags"`
	// Address is the IOMMU's own PCI function.
	Address pci.Address `json:"address"`
	Base    uint64      `json:"base"` // of its registers
	Entries []AMDEntry  `json:"entries,omitempty"`
}

// AMDEntry is which functions a unit serves.
type AMDEntry struct {
	Kind AMDKind `json:"kind"`
	// First and Last are the functions; equal for a single one, and the whole
	// segment for all.
	First pci.Address `json:"first"`
	Last  pci.Address `json:"last"`
	// Alias is the requester id that the functions use instead of their own;
	// only where Aliased.
	Aliased bool        `json:"aliased,omitempty"`
	Alias   pci.Address `json:"alias,omitzero"`
	// Setting is the byte of interrupt passes.
	Setting uint8 `json:"setting,omitempty"`
	// Special is the number and sort of an I/O APIC (1) or HPET (2).
	Special     uint8 `json:"special,omitempty"`
	SpecialSort uint8 `json:"special_sort,omitempty"`
	// Name is the ACPI hardware id of a device without an address.
	Name string `json:"name,omitempty"`
}

// AMDKind is what an entry stands for.
type AMDKind string

// The kinds.
const (
	AMDAll     AMDKind = "all"
	AMDSelect  AMDKind = "select"
	AMDRange   AMDKind = "range"
	AMDSpecial AMDKind = "special"
	AMDNamed   AMDKind = "named"
)

// AMDReserved is memory with a fixed mapping (IVMD), AMD's counterpart of RMRR.
type AMDReserved struct {
	Type  uint8       `json:"type"` // 0x20 all, 0x21 one, 0x22 a range
	Flags uint8       `json:"flags"`
	First pci.Address `json:"first"`
	Last  pci.Address `json:"last"`
	Start uint64      `json:"start"`
	Size  uint64      `json:"size"`
}

const (
	ivrsBlocks = 48

	ivhdOld   = 0x10
	ivhdNew   = 0x11
	ivhdACPI  = 0x40
	ivmdAll   = 0x20
	ivmdOne   = 0x21
	ivmdRange = 0x22
)

// ParseIVRS decodes an IVRS table; errors as of ParseDMAR. After the header
// stand a word of sizes and eight reserved bytes, then blocks of u8 type, u8
// flags, u16 length, u16 device:
//
//	49 56 52 53 68 00 00 00 01 …        IVRS, 104 bytes
//	00 30 20 00 00 00 00 00 00 00 00 00 48 bits physical, 64 virtual
//	10 00 38 00 02 00 40 00 …           IVHD, 56 bytes, function 00:00.2
func ParseIVRS(b []byte) (IVRS, error) {
	h, err := parseHeader(b, SignatureIVRS)
	if err != nil {
		return IVRS{}, err
	}
	b = b[:h.Length]
	t := IVRS{Header: h}
	if len(b) < ivrsBlocks {
		return t, fmt.Errorf("%d bytes end before the first block: %w", len(b), ErrTable)
	}
	t.Info = binary.LittleEndian.Uint32(b[headerSize:])
	var faults faults
	for at := ivrsBlocks; at < len(b); {
		if at+4 > len(b) {
			faults.add(at, "%d bytes after the last block", len(b)-at)
			break
		}
		length := int(binary.LittleEndian.Uint16(b[at+2:]))
		if length < 4 || at+length > len(b) {
			faults.add(at, "block of type %#x says %d bytes, %d are left", b[at], length, len(b)-at)
			break
		}
		if err := t.block(at, b[at:at+length]); err != nil {
			faults.add(at, "block of type %#x: %w", b[at], err)
		}
		at += length
	}
	return t, faults.err()
}

func (t *IVRS) block(at int, b []byte) error {
	u16 := func(off int) uint16 { return binary.LittleEndian.Uint16(b[off:]) }
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	switch kind := b[0]; kind {
	case ivhdOld, ivhdNew, ivhdACPI:
		head := 24
		if kind != ivhdOld {
			head = 40
		}
		if len(b) < head {
			return fmt.Errorf("%d bytes, less than %d", len(b), head)
		}
		segment := u16(16)
		u := AMDUnit{Type: kind, Flags: b[1], Address: function(segment, u16(4)), Base: u64(8)}
		var err error
		u.Entries, err = parseEntries(b[head:], head, segment)
		t.Units = append(t.Units, u)
		return err
	case ivmdAll, ivmdOne, ivmdRange:
		if len(b) < 32 {
			return fmt.Errorf("%d bytes, less than 32", len(b))
		}
		// Bytes 8 and 9 are the segment since revision 3.05, reserved before.
		segment := u16(8)
		r := AMDReserved{Type: kind, Flags: b[1], First: function(segment, u16(4)), Start: u64(16), Size: u64(24)}
		switch kind {
		case ivmdAll:
			r.First, r.Last = function(segment, 0), function(segment, 0xffff)
		case ivmdOne:
			r.Last = r.First
		default:
			r.Last = function(segment, u16(6))
		}
		t.Reserved = append(t.Reserved, r)
	default:
		t.Unknown = append(t.Unknown, Unknown{Type: uint16(kind), Offset: at, Length: len(b)})
	}
	return nil
}

// function is a requester id of 16 bits in a segment.
func function(segment, id uint16) pci.Address {
	return pci.Address{Domain: uint32(segment), Bus: uint8(id >> 8), Device: uint8(id >> 3 & 31), Function: uint8(id & 7)}
}

// Entry types: the two upper bits tell the length, 4 to 32 bytes; F0h says its
// own.
const (
	entryAll         = 1
	entrySelect      = 2
	entryRangeStart  = 3
	entryRangeEnd    = 4
	entryAlias       = 66
	entryAliasRange  = 67
	entryExtended    = 70
	entryExtRange    = 71
	entrySpecial     = 72
	entryNamed       = 0xf0
	entryNamedLength = 22
)

// parseEntries reads the entries of a unit; base is where they stand in the
// block.
func parseEntries(b []byte, base int, segment uint16) ([]AMDEntry, error) {
	var entries []AMDEntry
	var open *AMDEntry
	for at := 0; at < len(b); {
		kind := b[at]
		length := 4 << (kind >> 6)
		if kind == entryNamed && at+entryNamedLength <= len(b) {
			length = entryNamedLength + int(b[at+21])
		}
		if at+length > len(b) {
			return entries, fmt.Errorf("an entry of type %#x at %#x is cut off", kind, base+at)
		}
		e := b[at : at+length]
		at += length
		id := function(segment, binary.LittleEndian.Uint16(e[1:]))
		made := AMDEntry{First: id, Last: id, Setting: e[3]}
		switch kind {
		case entryAll:
			made.Kind, made.First, made.Last = AMDAll, function(segment, 0), function(segment, 0xffff)
		case entrySelect, entryExtended:
			made.Kind = AMDSelect
		case entryAlias:
			made.Kind, made.Aliased, made.Alias = AMDSelect, true, function(segment, binary.LittleEndian.Uint16(e[5:]))
		case entryRangeStart, entryExtRange:
			made.Kind = AMDRange
			open = &made
			continue
		case entryAliasRange:
			made.Kind, made.Aliased, made.Alias = AMDRange, true, function(segment, binary.LittleEndian.Uint16(e[5:]))
			open = &made
			continue
		case entryRangeEnd:
			if open == nil {
				return entries, fmt.Errorf("a range ends at %#x that did not begin", base+at-length)
			}
			if id.Compare(open.First) < 0 {
				return entries, fmt.Errorf("a range at %#x ends at %s, before its start %s", base+at-length, id, open.First)
			}
			open.Last = id
			made, open = *open, nil
		case entrySpecial:
			made.Kind, made.Special, made.SpecialSort = AMDSpecial, e[4], e[7]
			made.First = function(segment, binary.LittleEndian.Uint16(e[5:]))
			made.Last = made.First
		case entryNamed:
			made.Kind, made.Name = AMDNamed, printable(e[4:12])
		default: // padding, and what a newer revision adds
			continue
		}
		entries = append(entries, made)
	}
	if open != nil {
		return entries, fmt.Errorf("the range from %s has no end", open.First)
	}
	return entries, nil
}

// UnitsFor returns the units that serve a function, of the highest type that
// the table has.
func (t IVRS) UnitsFor(a pci.Address) []AMDUnit {
	var best uint8
	for _, u := range t.Units {
		best = max(best, u.Type)
	}
	var found []AMDUnit
	for _, u := range t.Units {
		if u.Type != best {
			continue
		}
		for _, e := range u.Entries {
			if e.Kind != AMDSpecial && e.First.Compare(a) <= 0 && a.Compare(e.Last) <= 0 {
				found = append(found, u)
				break
			}
		}
	}
	return found
}

// ReservedFor returns the fixed ranges of a function.
func (t IVRS) ReservedFor(a pci.Address) []AMDReserved {
	var found []AMDReserved
	for _, r := range t.Reserved {
		if r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 {
			found = append(found, r)
		}
	}
	return found
}
