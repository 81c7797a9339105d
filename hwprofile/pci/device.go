package pci

import (
	"fmt"

	"xtm/internal/opt"
)

// Device is one PCI function as the kernel shows it. What the host did not
// say, or not to this user, is absent.
type Device struct {
	Address Address `json:"address"`
	// ID names the maker's part; a quirk of the kernel may have corrected it.
	ID opt.Value[ID] `json:"id,omitzero"`
	// Subsystem is the board's own pair; absent where it is 0000:0000 or
	// ffff:ffff, as bridges show it.
	Subsystem opt.Value[ID]    `json:"subsystem,omitzero"`
	Class     opt.Value[Class] `json:"class,omitzero"`
	Revision  opt.Value[uint8] `json:"revision,omitzero"`

	// Path is the folder of the device, /sys/devices/pci0000:00/0000:00:1c.5;
	// "" where it is not known. Its slots identify a device better than bus
	// numbers do.
	Path string `json:"path,omitempty"`
	// Parent is the bridge that Path names; absent on a root bus and where the
	// path is not known.
	Parent opt.Value[Address] `json:"parent,omitzero"`
	// OnRootBus is true where Path says that no bridge stands above.
	OnRootBus bool `json:"on_root_bus,omitempty"`

	// Driver is the name of the bound driver; absent where none is bound.
	Driver opt.Value[string] `json:"driver,omitzero"`
	// KernelGroup is the number of the kernel's IOMMU group; absent where the
	// kernel drives no IOMMU, as in Dom0.
	KernelGroup opt.Value[int] `json:"kernel_group,omitzero"`
	// NUMANode is absent where the firmware names none (-1 in sysfs).
	NUMANode opt.Value[int] `json:"numa_node,omitzero"`
	// LocalCPUs are the nearest CPUs as a list: "0-3,8-11".
	LocalCPUs string `json:"local_cpus,omitempty"`
	// IRQ is the line interrupt, or the first MSI vector where MSI is on; 0 is none.
	IRQ opt.Value[int] `json:"irq,omitzero"`
	// MSIVectors counts the message interrupts in use; absent where the kernel
	// does not say (before Linux 3.2, or none was ever asked for).
	MSIVectors opt.Value[int] `json:"msi_vectors,omitzero"`
	// Resources are the address ranges that hold something.
	Resources []Resource `json:"resources,omitempty"`

	// Resettable is true where the kernel knows some way to reset the function.
	Resettable opt.Value[bool] `json:"resettable,omitzero"`
	// ResetMethods are the kernel's ways in its order, of device_specific,
	// acpi, flr, af_flr, pm, bus; empty where it does not list them (before 5.15).
	ResetMethods []string `json:"reset_methods,omitempty"`
	// BootVGA is true for the display that the firmware used; absent for what
	// is no display.
	BootVGA opt.Value[bool] `json:"boot_vga,omitzero"`
	// Label is the firmware's name of an onboard device (SMBIOS type 41).
	Label string `json:"label,omitempty"`
	// PowerState is D0, D3hot, D3cold or unknown.
	PowerState string `json:"power_state,omitempty"`
	// Link is the PCI Express link; absent where there is none.
	Link opt.Value[Link] `json:"link,omitzero"`

	// PhysicalFunction is set on a virtual function of SR-IOV.
	PhysicalFunction opt.Value[Address] `json:"physical_function,omitzero"`
	// VirtualFunctions are those that exist now.
	VirtualFunctions []Address `json:"virtual_functions,omitempty"`
	// MaxVirtualFunctions is how many the device offers; absent without SR-IOV.
	MaxVirtualFunctions opt.Value[int] `json:"max_virtual_functions,omitzero"`

	// Config is the configuration space: 4,096 or 256 bytes for root, 64 for
	// others, nothing where it could not be read.
	Config Config `json:"-"`
	// Capabilities is what Config says; see Capabilities.Extent.
	Capabilities Capabilities `json:"capabilities"`
}

// ID is a pair of vendor and device numbers.
type ID struct {
	Vendor uint16
	Device uint16
}

// String is 8086:0c08.
func (id ID) String() string { return fmt.Sprintf("%04x:%04x", id.Vendor, id.Device) }

// MarshalText writes String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 8086:0c08.
func (id *ID) UnmarshalText(b []byte) error {
	var v ID
	if n, err := fmt.Sscanf(string(b), "%04x:%04x", &v.Vendor, &v.Device); err != nil || n != 2 || len(b) != 9 {
		return fmt.Errorf("parse PCI id %q: want VVVV:DDDD in hexadecimal", b)
	}
	*id = v
	return nil
}

// Class is the class code in 24 bits: base class, subclass, interface.
type Class uint32

// The classes that matter to xtm, without their interface byte.
const (
	HostBridge Class = 0x0600
	ISABridge  Class = 0x0601
	PCIBridge  Class = 0x0604
	SMBus      Class = 0x0c05
)

// Base is the base class: 06 for bridges.
func (c Class) Base() uint8 { return uint8(c >> 16) }

// Sub is the class without its interface: 0604.
func (c Class) Sub() Class { return c >> 8 & 0xffff }

// String is the six digits that sysfs shows: 060400.
func (c Class) String() string { return fmt.Sprintf("%06x", uint32(c)) }

// MarshalText writes String.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads six hexadecimal digits.
func (c *Class) UnmarshalText(b []byte) error {
	var v uint32
	if n, err := fmt.Sscanf(string(b), "%06x", &v); err != nil || n != 1 || len(b) != 6 {
		return fmt.Errorf("parse PCI class %q: want six hexadecimal digits", b)
	}
	*c = Class(v)
	return nil
}

// Link is the speed and width of a PCI Express link, now and at best.
type Link struct {
	Speed    string `json:"speed"` // "5.0 GT/s PCIe", as the kernel writes it
	Width    int    `json:"width"`
	MaxSpeed string `json:"max_speed"`
	MaxWidth int    `json:"max_width"`
}

// Resource is one address range of a function.
type Resource struct {
	// Index is the line in sysfs: 0–5 are the base address registers, 6 is the
	// ROM, then come those of virtual functions and a bridge's windows.
	Index int    `json:"index"`
	Start uint64 `json:"start"`
	End   uint64 `json:"end"` // inclusive
	Flags uint64 `json:"flags"`
}

// Flags of a Resource: Linux include/linux/ioport.h.
const (
	flagIO     = 0x100
	flagMemory = 0x200
	romIndex   = 6
)

// Memory tells whether the range is memory, not I/O ports.
func (r Resource) Memory() bool { return r.Flags&flagMemory != 0 }

// IO tells whether the range is I/O ports.
func (r Resource) IO() bool { return r.Flags&flagIO != 0 }

// Register tells whether this is a base address register of the function
// itself: not its ROM, not a window of a bridge, not of a virtual function.
func (r Resource) Register() bool { return r.Index < romIndex }

// Size is the length in bytes; 0 for all 2⁶⁴.
func (r Resource) Size() uint64 { return r.End - r.Start + 1 }
