// Package pcitest builds PCI hosts for tests from one table: the sysfs tree
// that a kernel would show, and the dump that lspci would print.
package pcitest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"xtm/hwprofile/pci"
)

// Device is one function of a made-up host.
type Device struct {
	At       string // 0000:00:1c.5 or 00:1c.5
	ID       string // 8086:8c1a
	Sub      string // "" none
	Class    uint32 // 24 bits
	Revision uint8

	// Header is 1 for a PCI bridge, 2 for CardBus.
	Header                          uint8
	Primary, Secondary, Subordinate uint8
	Multifunction                   bool

	// Express makes an Express function of this type.
	Express    *pci.PortType
	FLR        bool // of Express
	AFFLR      bool
	NoSoftRst  bool
	PM         bool
	MSI, MSIX  bool
	ACS        *pci.ACS
	RCBA       bool // an LPC bridge with its root complex block enabled
	ConfigSize int  // 0: whole

	// Parent overrides the bridge that the numbers give: "root" for none.
	Parent  string
	Driver  string
	Group   string // the kernel's IOMMU group
	Label   string
	IRQ     int
	BootVGA bool
	// Resets is the kernel's reset_method; "" no reset file.
	Resets string
	// Resources are the lines of the file resource, without those of zeros.
	Resources []pci.Resource
	// Omit names files of sysfs that are left out.
	Omit []string
}

// IsolatingACS has every bit that isolation needs, and has them enabled.
func IsolatingACS() *pci.ACS { return &pci.ACS{Capability: 0x1f, Control: 0x1d} }

// Address is At, parsed. A fixture that is wrong panics.
func (d Device) Address() pci.Address { return address(d.At) }

func address(s string) pci.Address {
	a, err := pci.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

func id(s string) (vendor, device uint16) {
	var v pci.ID
	if err := v.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return v.Vendor, v.Device
}

// Config is the configuration space that the table describes: 4,096 bytes for
// an Express function, 256 for others, ConfigSize where that is set.
func (d Device) Config() pci.Config {
	size := 256
	if d.Express != nil {
		size = 4096
	}
	c := make(pci.Config, size)
	put16 := func(at int, v uint16) { binary.LittleEndian.PutUint16(c[at:], v) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(c[at:], v) }
	vendor, device := id(d.ID)
	put16(0x00, vendor)
	put16(0x02, device)
	put16(0x04, 0x0007)
	put32(0x08, d.Class<<8|uint32(d.Revision))
	c[0x0e] = d.Header
	if d.Multifunction {
		c[0x0e] |= 0x80
	}
	if d.Header == 1 || d.Header == 2 {
		c[0x18], c[0x19], c[0x1a] = d.Primary, d.Secondary, d.Subordinate
	}
	if d.Sub != "" && d.Header == 0 {
		sv, sd := id(d.Sub)
		put16(0x2c, sv)
		put16(0x2e, sd)
	}
	if d.RCBA {
		put32(0xf0, 0xfed1c001)
	}
	d.capabilities(c, put16, put32)
	if d.ConfigSize > 0 && d.ConfigSize < len(c) {
		c = c[:d.ConfigSize]
	}
	return c
}

func (d Device) capabilities(c pci.Config, put16 func(int, uint16), put32 func(int, uint32)) {
	at, link := 0x40, 0x34
	if d.Header == 2 {
		link = 0x14
	}
	add := func(id uint8, size int) int {
		put16(0x06, 0x0010)
		c[link], c[at], link = uint8(at), id, at+1
		here := at
		at += (size + 3) &^ 3
		return here
	}
	if d.PM || d.NoSoftRst {
		p := add(0x01, 8)
		put16(p+2, 0x0003)
		if d.NoSoftRst {
			put16(p+4, 0x0008)
		}
	}
	if d.MSI {
		add(0x05, 14)
	}
	if d.Express != nil {
		p := add(0x10, 0x3c)
		put16(p+2, uint16(*d.Express)<<4|2)
		if d.FLR {
			put32(p+4, 1<<28)
		}
	}
	if d.MSIX {
		add(0x11, 12)
	}
	if d.AFFLR {
		p := add(0x13, 6)
		c[p+2], c[p+3] = 6, 3
	}
	if d.Express != nil && d.ACS != nil {
		put32(0x100, 0x0001|1<<16|0x140<<20) // advanced error reporting first
		put32(0x140, 0x000d|1<<16)
		put16(0x144, d.ACS.Capability)
		put16(0x146, d.ACS.Control)
	}
}

// Host is all functions of a made-up host.
type Host []Device

// Dump is what lspci -xxxx would print, without names.
func (h Host) Dump() []byte {
	var b strings.Builder
	for _, d := range h {
		fmt.Fprintf(&b, "%s Class %04x: Device %s\n", d.Address(), d.Class>>8, d.ID)
		c := d.Config()
		for at := 0; at+16 <= len(c); at += 16 {
			fmt.Fprintf(&b, "%02x: % x\n", at, []byte(c[at:at+16]))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// parent is the bridge above: the stated one, else the one whose secondary bus
// the function stands on.
func (h Host) parent(d Device) (Device, bool) {
	if d.Parent == "root" {
		return Device{}, false
	}
	own := d.Address()
	for _, p := range h {
		at := p.Address()
		if d.Parent != "" && at == address(d.Parent) {
			return p, true
		}
		if d.Parent == "" && p.Header != 0 && p.Secondary == own.Bus && at.Domain == own.Domain && own.Bus != 0 && at != own {
			return p, true
		}
	}
	return Device{}, false
}
