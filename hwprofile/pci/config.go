package pci

import (
	"cmp"
	"encoding/binary"
	"fmt"

	"xtm/internal/opt"
)

// Config is the start of a function's configuration space, as much as could be
// read. The accessors say whether the bytes are there.
type Config []byte

// Sizes of Config: what any user may read, a conventional device's whole, an
// Express device's whole.
const (
	configHeader   = 64
	configStandard = 256
	configExtended = 4096
)

// Byte returns the byte at an offset, and whether it was read.
func (c Config) Byte(off int) (uint8, bool) {
	if off < 0 || off >= len(c) {
		return 0, false
	}
	return c[off], true
}

// Word returns 16 bits at an offset, and whether they were read.
func (c Config) Word(off int) (uint16, bool) {
	if off < 0 || off+2 > len(c) {
		return 0, false
	}
	return binary.LittleEndian.Uint16(c[off:]), true
}

// Long returns 32 bits at an offset, and whether they were read.
func (c Config) Long(off int) (uint32, bool) {
	if off < 0 || off+4 > len(c) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(c[off:]), true
}

// Offsets in the header: PCI Local Bus Specification 3.0, chapter 6.
const (
	regVendor      = 0x00
	regStatus      = 0x06
	regRevision    = 0x08
	regHeaderType  = 0x0e
	regSecondary   = 0x19
	regSubordinate = 0x1a
	regSubsystem   = 0x2c
	regCapPointer  = 0x34

	statusCapList   = 0x10
	headerTypeMask  = 0x7f
	multifunctBit   = 0x80
	headerBridge    = 1
	headerCardBus   = 2
	regCardBusCaps  = 0x14
	maxCapabilities = 48 // as many as fit in 192 bytes
)

// HeaderType is 0 for a device, 1 for a PCI bridge, 2 for CardBus.
func (c Config) HeaderType() (uint8, bool) {
	b, ok := c.Byte(regHeaderType)
	return b & headerTypeMask, ok
}

// multifunction is bit 7 of the header type; on function 0 it says whether
// there are others.
func (c Config) multifunction() bool {
	b, _ := c.Byte(regHeaderType)
	return b&multifunctBit != 0
}

// Extent says how much of the capabilities could be seen.
type Extent string

// The extents. Without ExtentAll an absent capability proves nothing.
const (
	ExtentNone     Extent = "none"     // header only: not root, or unreadable
	ExtentStandard Extent = "standard" // 256 bytes: no extended capability can be seen
	ExtentAll      Extent = "all"
)

// PortType is the role of a PCI Express function.
type PortType uint8

// Port types: PCI Express Base Specification, 7.5.3.2.
const (
	Endpoint             PortType = 0
	LegacyEndpoint       PortType = 1
	RootPort             PortType = 4
	SwitchUpstream       PortType = 5
	SwitchDownstream     PortType = 6
	ExpressToPCI         PortType = 7
	PCIToExpress         PortType = 8
	IntegratedEndpoint   PortType = 9
	RootComplexCollector PortType = 10
)

// String is the specification's name.
func (t PortType) String() string {
	switch t {
	case Endpoint:
		return "endpoint"
	case LegacyEndpoint:
		return "legacy endpoint"
	case RootPort:
		return "root port"
	case SwitchUpstream:
		return "switch upstream port"
	case SwitchDownstream:
		return "switch downstream port"
	case ExpressToPCI:
		return "PCI Express to PCI bridge"
	case PCIToExpress:
		return "PCI to PCI Express bridge"
	case IntegratedEndpoint:
		return "root complex integrated endpoint"
	case RootComplexCollector:
		return "root complex event collector"
	default:
		return fmt.Sprintf("PCI Express type %d", uint8(t))
	}
}

// MarshalText writes String.
func (t PortType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Capabilities is what a configuration space says of a function.
type Capabilities struct {
	Extent Extent `json:"extent"`
	// Express is the role of an Express function; absent for a conventional
	// one, and where Extent is none.
	Express opt.Value[PortType] `json:"express,omitzero"`
	// ExpressFLR and AFFLR are the two ways to offer a function level reset.
	ExpressFLR bool `json:"express_flr,omitempty"`
	AFFLR      bool `json:"af_flr,omitempty"`
	// PMReset is true where leaving D3hot resets the function (NoSoftRst−);
	// absent without a power management capability.
	PMReset opt.Value[bool] `json:"pm_reset,omitzero"`
	MSI     bool            `json:"msi,omitempty"`
	MSIX    bool            `json:"msix,omitempty"`
	SRIOV   bool            `json:"sriov,omitempty"`
	// ACS is access control services; absent where the function has none or it
	// could not be seen.
	ACS opt.Value[ACS] `json:"acs,omitzero"`
	// Broken says what is wrong with the list of capabilities, "" nothing. What
	// was found before that is kept.
	Broken string `json:"broken,omitempty"`
}

// ACS is the pair of registers of access control services.
type ACS struct {
	Capability uint16 `json:"capability"`
	Control    uint16 `json:"control"`
}

// Capability numbers: PCI Code and ID Assignment Specification.
const (
	capPM      = 0x01
	capMSI     = 0x05
	capExpress = 0x10
	capMSIX    = 0x11
	capAF      = 0x13

	extACS   = 0x000d
	extSRIOV = 0x0010
)

// decode walks both lists of capabilities. Each list is bounded by the number
// that fits, so a loop ends.
func decode(c Config) Capabilities {
	caps := Capabilities{Extent: ExtentNone}
	if len(c) < configStandard {
		return caps
	}
	caps.Extent = ExtentStandard
	if len(c) >= configExtended {
		caps.Extent = ExtentAll
	}
	caps.standard(c)
	switch {
	case !caps.Express.Has() && caps.Broken == "":
		// A conventional function has no extended space to be missed.
		caps.Extent = ExtentAll
	case caps.Express.Has() && caps.Extent == ExtentAll:
		broken := walkExtended(c, func(id uint16, at int) { caps.extended(c, id, at) })
		caps.Broken = cmp.Or(caps.Broken, broken)
	}
	return caps
}

func (caps *Capabilities) standard(c Config) {
	if status, _ := c.Word(regStatus); status&statusCapList == 0 {
		return
	}
	pointer := regCapPointer
	if t, _ := c.HeaderType(); t == headerCardBus {
		pointer = regCardBusCaps
	}
	next, _ := c.Byte(pointer)
	for range maxCapabilities {
		at := int(next &^ 3)
		switch {
		case at == 0:
			return
		case at < configHeader:
			caps.Broken = fmt.Sprintf("capability pointer %#02x leads into the header", next)
			return
		}
		id := c[at]
		if id == 0xff {
			caps.Broken = fmt.Sprintf("capability at %#02x reads as ff", at)
			return
		}
		caps.one(c, id, at)
		next = c[at+1]
	}
	caps.Broken = "the list of capabilities has a loop"
}

func (caps *Capabilities) one(c Config, id uint8, at int) {
	switch id {
	case capPM:
		if control, ok := c.Word(at + 4); ok {
			caps.PMReset = opt.Of(control&0x08 == 0)
		}
	case capMSI:
		caps.MSI = true
	case capMSIX:
		caps.MSIX = true
	case capAF:
		// Both bits are needed: transactions pending and the reset itself.
		b, _ := c.Byte(at + 3)
		caps.AFFLR = b&3 == 3
	case capExpress:
		if flags, ok := c.Word(at + 2); ok && !caps.Express.Has() {
			caps.Express = opt.Of(PortType(flags >> 4 & 15))
			devcap, _ := c.Long(at + 4)
			caps.ExpressFLR = devcap&(1<<28) != 0
		}
	}
}

func (caps *Capabilities) extended(c Config, id uint16, at int) {
	switch id {
	case extACS:
		capability, ok1 := c.Word(at + 4)
		control, ok2 := c.Word(at + 6)
		if ok1 && ok2 {
			caps.ACS = opt.Of(ACS{capability, control})
		}
	case extSRIOV:
		caps.SRIOV = true
	}
}

// walkExtended reads the list from 100h: 16 bits of number, 4 of version, 12
// of the next offset. It says what is wrong with the list, "" nothing.
func walkExtended(c Config, each func(id uint16, at int)) (broken string) {
	at := configStandard
	for range (configExtended - configStandard) / 8 {
		head, ok := c.Long(at)
		switch {
		case at == 0, ok && at == configStandard && (head == 0 || head == 0xffffffff):
			return ""
		case at < configStandard || !ok:
			return fmt.Sprintf("extended capability pointer %#03x leads out of the extended space", at)
		}
		each(uint16(head), at)
		at = int(head >> 20 &^ 3)
	}
	return "the list of extended capabilities has a loop"
}
