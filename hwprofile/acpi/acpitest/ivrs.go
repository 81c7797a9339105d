package acpitest

import (
	"encoding/binary"

	"xtm/hwprofile/acpi"
	"xtm/hwprofile/pci"
)

// IVRS encodes a table with a true checksum: its units with the entries that
// name functions, and its fixed ranges.
func IVRS(t acpi.IVRS) []byte {
	le := binary.LittleEndian
	body := append(le.AppendUint32(nil, t.Info), make([]byte, 8)...)
	block := func(kind, flags uint8, b []byte) {
		body = append(body, kind, flags)
		body = append(le.AppendUint16(body, uint16(4+len(b))), b...)
	}
	for _, u := range t.Units {
		b := le.AppendUint16(nil, requester(u.Address))
		b = le.AppendUint16(b, 0x40) // where the capability stands
		b = le.AppendUint64(b, u.Base)
		b = le.AppendUint16(b, uint16(u.Address.Domain))
		b = append(b, make([]byte, 6)...)
		if u.Type != 0x10 {
			b = append(b, make([]byte, 16)...)
		}
		for _, e := range u.Entries {
			b = append(b, entry(e)...)
		}
		block(u.Type, u.Flags, b)
	}
	for _, r := range t.Reserved {
		b := le.AppendUint16(nil, requester(r.First))
		b = le.AppendUint16(b, requester(r.Last))
		b = append(b, make([]byte, 8)...)
		block(r.Type, r.Flags, le.AppendUint64(le.AppendUint64(b, r.Start), r.Size))
	}
	return Table(acpi.SignatureIVRS, body)
}

// entry is one of a unit: all, one function or a range, with an alias or not.
func entry(e acpi.AMDEntry) []byte {
	le := binary.LittleEndian
	head := func(kind uint8, a pci.Address) []byte {
		return append(le.AppendUint16([]byte{kind}, requester(a)), e.Setting)
	}
	kinds := map[acpi.AMDKind]uint8{acpi.AMDAll: 1, acpi.AMDSelect: 2, acpi.AMDRange: 3}
	b := head(kinds[e.Kind], e.First)
	if e.Aliased {
		b = head(kinds[e.Kind]|0x40, e.First)
		b = append(le.AppendUint16(append(b, 0), requester(e.Alias)), 0)
	}
	if e.Kind == acpi.AMDRange {
		b = append(b, head(4, e.Last)...)
	}
	return b
}

// requester is the id of 16 bits of a function.
func requester(a pci.Address) uint16 {
	return uint16(a.Bus)<<8 | uint16(a.Device)<<3 | uint16(a.Function)
}
