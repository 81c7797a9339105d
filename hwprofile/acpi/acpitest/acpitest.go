// Package acpitest builds DMAR and IVRS tables for tests.
package acpitest

import (
	"encoding/binary"

	"xtm/hwprofile/acpi"
)

// DMAR encodes a table under a signature, with a true checksum.
func DMAR(signature string, t acpi.DMAR) []byte {
	body := []byte{t.AddressWidth - 1, flag(t.InterruptRemapping, 1) | flag(t.X2APICOptOut, 2) | flag(t.PlatformOptIn, 4), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	le := binary.LittleEndian
	for _, u := range t.Units {
		b := []byte{flag(u.IncludeAll, 1), 0}
		b = le.AppendUint16(b, u.Segment)
		b = le.AppendUint64(b, u.Base)
		body = structure(body, 0, append(b, scopes(u.Scopes)...))
	}
	for _, r := range t.Reserved {
		b := []byte{0, 0}
		b = le.AppendUint16(b, r.Segment)
		b = le.AppendUint64(b, r.Base)
		b = le.AppendUint64(b, r.Limit)
		body = structure(body, 1, append(b, scopes(r.Scopes)...))
	}
	for _, a := range t.ATS {
		b := []byte{flag(a.AllPorts, 1), 0}
		b = le.AppendUint16(b, a.Segment)
		body = structure(body, 2, append(b, scopes(a.Scopes)...))
	}
	for _, a := range t.Affinity {
		b := le.AppendUint64([]byte{0, 0, 0, 0}, a.Base)
		body = structure(body, 3, le.AppendUint32(b, a.Proximity))
	}
	for _, n := range t.Names {
		body = structure(body, 4, append(append([]byte{0, 0, 0, n.Number}, n.Name...), 0))
	}
	for _, s := range t.SATC {
		b := []byte{flag(s.Required, 1), 0}
		b = le.AppendUint16(b, s.Segment)
		body = structure(body, 5, append(b, scopes(s.Scopes)...))
	}
	return Table(signature, body)
}

// Table puts a header before a body: length, checksum, makers' names.
func Table(signature string, body []byte) []byte {
	b := make([]byte, 36, 36+len(body))
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[4:], uint32(36+len(body)))
	b[8] = 1
	copy(b[10:], "SUPERM")
	copy(b[16:], "SMCI--MB")
	b = append(b, body...)
	var sum uint8
	for _, c := range b {
		sum += c
	}
	b[9] = -sum
	return b
}

// X10SAE is the table that a board of this kind typically carries: a unit for
// the graphics alone, one for the rest; a range that the three USB controllers
// share and one of the graphics. No such board's own table was published.
func X10SAE() acpi.DMAR {
	at := func(kind acpi.ScopeType, device, function uint8) acpi.Scope {
		return acpi.Scope{Type: kind, Path: []acpi.Hop{{Device: device, Function: function}}}
	}
	apic := acpi.Scope{Type: acpi.ScopeIOAPIC, ID: 8, StartBus: 0xf0, Path: []acpi.Hop{{Device: 0x1f}}}
	hpet := acpi.Scope{Type: acpi.ScopeHPET, StartBus: 0xf0, Path: []acpi.Hop{{Device: 0x0f}}}
	return acpi.DMAR{
		AddressWidth: 39, InterruptRemapping: true,
		Units: []acpi.Unit{
			{Base: 0xfed90000, Scopes: []acpi.Scope{at(acpi.ScopeEndpoint, 2, 0)}},
			{Base: 0xfed91000, IncludeAll: true, Scopes: []acpi.Scope{apic, hpet}},
		},
		Reserved: []acpi.ReservedMemory{
			{
				Base: 0xddb20000, Limit: 0xddb2efff,
				Scopes: []acpi.Scope{at(acpi.ScopeEndpoint, 0x1d, 0), at(acpi.ScopeEndpoint, 0x1a, 0), at(acpi.ScopeEndpoint, 0x14, 0)},
			},
			{Base: 0xdf000000, Limit: 0xdf1fffff, Scopes: []acpi.Scope{at(acpi.ScopeEndpoint, 2, 0)}},
		},
	}
}

func flag(on bool, bit uint8) uint8 {
	if on {
		return bit
	}
	return 0
}

func structure(body []byte, kind uint16, b []byte) []byte {
	body = binary.LittleEndian.AppendUint16(body, kind)
	body = binary.LittleEndian.AppendUint16(body, uint16(4+len(b)))
	return append(body, b...)
}

func scopes(list []acpi.Scope) []byte {
	var b []byte
	for _, s := range list {
		b = append(b, uint8(s.Type), uint8(6+2*len(s.Path)), 0, 0, s.ID, s.StartBus)
		for _, h := range s.Path {
			b = append(b, h.Device, h.Function)
		}
	}
	return b
}
