package acpi

import (
	"encoding/binary"
	"fmt"
)

// DMAR is the table of Intel's IOMMU: Intel Virtualization Technology for
// Directed I/O, revision 4.1, chapter 8.
type DMAR struct {
	Header Header `json:"header"`
	// AddressWidth is the number of bits of an address of memory that DMA can
	// reach.
	AddressWidth uint8 `json:"address_width"`
	// InterruptRemapping is what the firmware claims; Xen and Linux also ask
	// the hardware.
	InterruptRemapping bool `json:"interrupt_remapping"`
	// X2APICOptOut asks the system not to enable x2APIC.
	X2APICOptOut bool `json:"x2apic_opt_out,omitempty"`
	// PlatformOptIn says that the firmware protects itself against DMA.
	PlatformOptIn bool `json:"platform_opt_in,omitempty"`

	Units    []Unit           `json:"units"`
	Reserved []ReservedMemory `json:"reserved,omitempty"`
	ATS      []ATSRoots       `json:"ats,omitempty"`
	Affinity []Affinity       `json:"affinity,omitempty"`
	Names    []NamedDevice    `json:"names,omitempty"`
	SATC     []ATSCaches      `json:"satc,omitempty"`
	// Unknown are structures of a newer specification: skipped, not lost.
	Unknown []Unknown `json:"unknown,omitempty"`
}

// Unit is one remapping unit (DRHD).
type Unit struct {
	Segment uint16 `json:"segment"`
	Base    uint64 `json:"base"` // of its registers
	// IncludeAll is true for the unit of every function of the segment that no
	// other unit names.
	IncludeAll bool    `json:"include_all"`
	Scopes     []Scope `json:"scopes,omitempty"`
}

// ReservedMemory is a range that devices use behind the system's back (RMRR):
// a function in it needs the range mapped one to one wherever it goes.
type ReservedMemory struct {
	Segment uint16  `json:"segment"`
	Base    uint64  `json:"base"`
	Limit   uint64  `json:"limit"` // inclusive
	Scopes  []Scope `json:"scopes,omitempty"`
}

// ATSRoots are root ports below which address translation services work (ATSR).
type ATSRoots struct {
	Segment  uint16  `json:"segment"`
	AllPorts bool    `json:"all_ports"`
	Scopes   []Scope `json:"scopes,omitempty"`
}

// Affinity ties a unit to a NUMA node (RHSA).
type Affinity struct {
	Base      uint64 `json:"base"`
	Proximity uint32 `json:"proximity"`
}

// NamedDevice is a device without an address, known by its ACPI name.
type NamedDevice struct {
	Number uint8  `json:"number"`
	Name   string `json:"name"`
}

// ATSCaches are integrated devices with a cache of translations (SATC).
type ATSCaches struct {
	Segment uint16 `json:"segment"`
	// Required is true where the device works only with ATS on.
	Required bool    `json:"required"`
	Scopes   []Scope `json:"scopes,omitempty"`
}

// Unknown is a structure whose type this program does not know.
type Unknown struct {
	Type   uint16 `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
}

// ScopeType says what a Scope stands for.
type ScopeType uint8

// Types of scopes.
const (
	ScopeEndpoint  ScopeType = 1
	ScopeBridge    ScopeType = 2
	ScopeIOAPIC    ScopeType = 3
	ScopeHPET      ScopeType = 4
	ScopeNamespace ScopeType = 5
)

// String is the specification's name.
func (t ScopeType) String() string {
	switch t {
	case ScopeEndpoint:
		return "endpoint"
	case ScopeBridge:
		return "bridge"
	case ScopeIOAPIC:
		return "ioapic"
	case ScopeHPET:
		return "hpet"
	case ScopeNamespace:
		return "namespace"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}

// MarshalText writes String.
func (t ScopeType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Scope names a device by the way to it, since bus numbers may change: a bus,
// then from bridge to bridge.
type Scope struct {
	Type ScopeType `json:"type"`
	// ID is the I/O APIC's, HPET's or named device's number.
	ID       uint8 `json:"id,omitempty"`
	StartBus uint8 `json:"start_bus"`
	Path     []Hop `json:"path"`
}

// Hop is one step of a Scope.
type Hop struct {
	Device   uint8 `json:"device"`
	Function uint8 `json:"function"`
}

// Structure types: section 8.2.
const (
	typeDRHD = 0
	typeRMRR = 1
	typeATSR = 2
	typeRHSA = 3
	typeANDD = 4
	typeSATC = 5

	dmarStructures = 48
)

// ParseDMAR decodes a DMAR table, also as RMAD or XMAR. An error wraps ErrTable
// and tells the offsets; what can be understood is returned beside it. After
// the header stand the width, flags and ten reserved bytes, then structures of u16
// type, u16 length:
//
//	44 4d 41 52 b8 00 00 00 01 …        DMAR, 184 bytes
//	26 01 00 …                          39 bits, interrupt remapping
//	00 00 18 00 00 00 00 00 …           DRHD, 24 bytes, segment 0
//	01 08 00 00 00 02 00                endpoint, 8 bytes, bus 0, 02.0
func ParseDMAR(b []byte) (DMAR, error) {
	h, err := parseHeader(b, SignatureDMAR, SignatureRMAD, SignatureXMAR)
	if err != nil {
		return DMAR{}, err
	}
	b = b[:h.Length]
	t := DMAR{Header: h}
	if len(b) < dmarStructures {
		return t, fmt.Errorf("%d bytes end before the flags: %w", len(b), ErrTable)
	}
	t.AddressWidth = b[36] + 1
	t.InterruptRemapping = b[37]&1 != 0
	t.X2APICOptOut = b[37]&2 != 0
	t.PlatformOptIn = b[37]&4 != 0
	var faults faults
	for at := dmarStructures; at < len(b); {
		if at+4 > len(b) {
			faults.add(at, "%d bytes after the last structure", len(b)-at)
			break
		}
		kind, length := binary.LittleEndian.Uint16(b[at:]), int(binary.LittleEndian.Uint16(b[at+2:]))
		if length < 4 || at+length > len(b) {
			faults.add(at, "structure of type %d says %d bytes, %d are left", kind, length, len(b)-at)
			break
		}
		if err := t.structure(kind, at, b[at:at+length]); err != nil {
			faults.add(at, "structure of type %d: %w", kind, err)
		}
		at += length
	}
	return t, faults.err()
}

// fixed is the length of a structure before its scopes.
func fixed(kind uint16) int {
	switch kind {
	case typeDRHD:
		return 16
	case typeRMRR:
		return 24
	case typeRHSA:
		return 20
	case typeATSR, typeANDD, typeSATC:
		return 8
	default:
		return 4
	}
}

func (t *DMAR) structure(kind uint16, at int, b []byte) error {
	if n := fixed(kind); len(b) < n {
		return fmt.Errorf("%d bytes, less than %d", len(b), n)
	}
	u64 := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	segment := func() uint16 { return binary.LittleEndian.Uint16(b[6:]) }
	var err error
	switch kind {
	case typeDRHD:
		u := Unit{Segment: segment(), Base: u64(8), IncludeAll: b[4]&1 != 0}
		u.Scopes, err = parseScopes(b, 16)
		t.Units = append(t.Units, u)
	case typeRMRR:
		r := ReservedMemory{Segment: segment(), Base: u64(8), Limit: u64(16)}
		r.Scopes, err = parseScopes(b, 24)
		if r.Limit < r.Base && err == nil {
			err = fmt.Errorf("the range ends at %#x, before its start %#x", r.Limit, r.Base)
		}
		t.Reserved = append(t.Reserved, r)
	case typeATSR:
		a := ATSRoots{Segment: segment(), AllPorts: b[4]&1 != 0}
		a.Scopes, err = parseScopes(b, 8)
		t.ATS = append(t.ATS, a)
	case typeRHSA:
		t.Affinity = append(t.Affinity, Affinity{Base: u64(8), Proximity: binary.LittleEndian.Uint32(b[16:])})
	case typeANDD:
		t.Names = append(t.Names, NamedDevice{Number: b[7], Name: printable(b[8:])})
	case typeSATC:
		s := ATSCaches{Segment: segment(), Required: b[4]&1 != 0}
		s.Scopes, err = parseScopes(b, 8)
		t.SATC = append(t.SATC, s)
	default:
		t.Unknown = append(t.Unknown, Unknown{Type: kind, Offset: at, Length: len(b)})
	}
	return err
}

// parseScopes reads scopes to the end of a structure: type, length, flags, a
// reserved byte, number, start bus, and pairs of device and function.
func parseScopes(b []byte, at int) ([]Scope, error) {
	var scopes []Scope
	for at < len(b) {
		if at+6 > len(b) {
			return scopes, fmt.Errorf("a scope at %#x is cut off after %d bytes", at, len(b)-at)
		}
		length := int(b[at+1])
		if length < 8 || length%2 != 0 || at+length > len(b) {
			return scopes, fmt.Errorf("a scope at %#x says %d bytes, %d are left", at, length, len(b)-at)
		}
		s := Scope{Type: ScopeType(b[at]), ID: b[at+4], StartBus: b[at+5]}
		for p := at + 6; p < at+length; p += 2 {
			if b[p] > 31 || b[p+1] > 7 {
				return scopes, fmt.Errorf("a scope at %#x leads to device %#x, function %d", at, b[p], b[p+1])
			}
			s.Path = append(s.Path, Hop{b[p], b[p+1]})
		}
		scopes = append(scopes, s)
		at += length
	}
	return scopes, nil
}
