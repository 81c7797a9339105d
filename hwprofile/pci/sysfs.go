package pci

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/xen"
)

// sysDevices is where Linux shows every PCI function, one link or folder each.
const sysDevices = "/sys/bus/pci/devices"

// MaxDevices bounds what is read of one host: sixteen full domains of what a
// large server has, far below what a hostile tree could hold.
const MaxDevices = 1 << 14

// Read returns the PCI functions of a host in the order of their addresses,
// with what could not be read of them. A function of which nothing but its
// name is known is listed all the same. The error is set only where there is
// no list at all: cause.ErrNoData without PCI (no such folder, or an empty one,
// as in a PV guest).
func Read(files hostfs.Files) ([]Device, []xen.Gap, error) {
	names, err := files.ReadDir(sysDevices)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", cause.ErrNoData, err)
		}
		return nil, nil, fmt.Errorf("list PCI devices: %w", err)
	}
	var gaps []xen.Gap
	if len(names) > MaxDevices {
		gaps = append(gaps, xen.Gap{
			What: "PCI devices", Cause: cause.Failed,
			Why: fmt.Sprintf("%s has %d entries; only the first %d were read", sysDevices, len(names), MaxDevices),
		})
		names = names[:MaxDevices]
	}
	devices := make([]Device, 0, len(names))
	for _, name := range names {
		at, ok := parseCanonical(name)
		if !ok {
			gaps = append(gaps, xen.Gap{
				What: "PCI device " + strconv.QuoteToASCII(name), Cause: cause.Failed,
				Why: sysDevices + " has an entry that is no PCI address",
			})
			continue
		}
		r := reader{files: files, dir: sysDevices + "/" + name, device: Device{Address: at, Capabilities: Capabilities{Extent: ExtentNone}}}
		r.read(name)
		devices = append(devices, r.device)
		gaps = append(gaps, r.gaps...)
	}
	if len(devices) == 0 {
		return nil, gaps, fmt.Errorf("list PCI devices: %s is empty: %w", sysDevices, cause.ErrNoData)
	}
	slices.SortFunc(devices, func(a, b Device) int { return a.Address.Compare(b.Address) })
	return devices, gaps, nil
}

// reader reads the folder of one function.
type reader struct {
	files  hostfs.Files
	dir    string
	have   map[string]bool // names in the folder; nil: could not be listed
	device Device
	gaps   []xen.Gap
}

func (r *reader) read(name string) {
	d := &r.device
	if names, err := r.files.ReadDir(r.dir); err != nil {
		r.gap("folder", err)
	} else {
		r.have = make(map[string]bool, len(names))
		for _, n := range names {
			r.have[n] = true
		}
	}
	r.path(name)
	r.config()
	r.identity()
	if b, ok := r.bytes("resource"); ok {
		var err error
		if d.Resources, err = parseResources(b); err != nil {
			r.gap("resource", err)
		}
	}
	d.Driver = opt.Map(r.link("driver"), path.Base)
	d.KernelGroup = opt.Map(r.linkNumber("iommu_group"), func(n uint64) int { return int(n) })
	d.IRQ = r.small("irq")
	d.MSIVectors = r.count("msi_irqs")
	if d.NUMANode = r.small("numa_node"); d.NUMANode.Or(0) < 0 {
		d.NUMANode = opt.Value[int]{}
	}
	d.LocalCPUs = r.text("local_cpulist")
	d.BootVGA = opt.Map(r.small("boot_vga"), func(n int) bool { return n == 1 })
	d.Label = r.text("label")
	d.PowerState = r.text("power_state")
	d.MaxVirtualFunctions = r.small("sriov_totalvfs")
	r.functions()
	r.resets()
	r.linkSpeed()
}

// path follows the entry to the folder it stands for:
//
//	0000:04:00.0 -> ../../../devices/pci0000:00/0000:00:1c.5/0000:04:00.0
//
// (Linux 6.1). A saved tree may hold folders instead: then nothing is known.
func (r *reader) path(name string) {
	target, err := r.files.Readlink(r.dir)
	if err != nil {
		return
	}
	full := target
	if !path.IsAbs(full) {
		full = path.Join(sysDevices, target)
	}
	full = path.Clean(full)
	if path.Base(full) != name {
		r.gap("path", fmt.Errorf("the entry leads to %q, another device's folder", target))
		return
	}
	r.device.Path = full
	above := path.Base(path.Dir(full))
	if parent, ok := parseCanonical(above); ok {
		r.device.Parent = opt.Of(parent)
		return
	}
	// The folder of a root bus bears its number; that of another bus is a
	// saved tree that somebody made flat.
	at := r.device.Address
	r.device.OnRootBus = above == fmt.Sprintf("pci%04x:%02x", at.Domain, at.Bus)
}

func (r *reader) config() {
	b, ok := r.bytes("config")
	if !ok {
		return
	}
	r.device.Config = Config(b[:min(len(b), configExtended)])
	if len(b) < configHeader {
		r.gap("config", fmt.Errorf("%d bytes, less than the header of %d", len(b), configHeader))
	}
	r.device.Capabilities = decode(r.device.Config)
	if broken := r.device.Capabilities.Broken; broken != "" {
		r.gap("config", errors.New(broken))
	}
}

// identity prefers the kernel's view, which its quirks may have corrected, and
// takes the registers where a file is missing. The revision has no quirk.
func (r *reader) identity() {
	d := &r.device
	fromConfig := identityOf(d.Config)
	if !r.event() { // as in a saved tree without it
		d.ID = pair(r.hex("vendor", 16), r.hex("device", 16))
		d.Subsystem = named(pair(r.hex("subsystem_vendor", 16), r.hex("subsystem_device", 16)))
		d.Class = opt.Map(r.hex("class", 24), func(n uint64) Class { return Class(n) })
	}
	d.ID, d.Subsystem, d.Class = orElse(d.ID, fromConfig.ID), orElse(d.Subsystem, fromConfig.Subsystem), orElse(d.Class, fromConfig.Class)
	if d.Revision = fromConfig.Revision; !d.Revision.Has() {
		d.Revision = opt.Map(r.hex("revision", 8), func(n uint64) uint8 { return uint8(n) })
	}
	if !d.ID.Has() {
		r.gaps = append(r.gaps, xen.Gap{
			What: "identity of PCI device " + d.Address.String(), Cause: cause.NoData,
			Why: "neither its files nor its configuration space name it",
		})
	}
}

// event takes what five other files say one by one from one; false where it does
// not have all of it.
func (r *reader) event() bool {
	b, ok := r.bytes("uevent")
	if !ok {
		return false
	}
	id, subsystem, class, err := parseEvent(string(b[:min(len(b), maxText)]))
	if err != nil {
		r.gap("uevent", err)
		return false
	}
	r.device.ID, r.device.Subsystem, r.device.Class = opt.Of(id), named(opt.Of(subsystem)), opt.Of(class)
	return true
}

// parseEvent reads what a device tells udev; the class has no leading zeros.
//
//	DRIVER=e1000e
//	PCI_CLASS=20000
//	PCI_ID=8086:10D3
//	PCI_SUBSYS_ID=8086:0000
//	PCI_SLOT_NAME=0000:03:00.0
//
// (pci_uevent of drivers/pci/pci-driver.c, Linux 3.2 to 6.x.)
func parseEvent(text string) (id, subsystem ID, class Class, err error) {
	seen := 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.ToLower(value)
		switch key {
		case "PCI_ID":
			err = id.UnmarshalText([]byte(value))
		case "PCI_SUBSYS_ID":
			err = subsystem.UnmarshalText([]byte(value))
		case "PCI_CLASS":
			err = class.UnmarshalText([]byte(strings.Repeat("0", max(0, 6-len(value))) + value))
		default:
			continue
		}
		if err != nil {
			return ID{}, ID{}, 0, err
		}
		seen++
	}
	if seen != 3 {
		return ID{}, ID{}, 0, fmt.Errorf("%d of PCI_ID, PCI_SUBSYS_ID and PCI_CLASS are there", seen)
	}
	return id, subsystem, class, nil
}

// identityOf reads what the header itself says.
func identityOf(c Config) (d Device) {
	long := func(off int) opt.Value[uint64] {
		if v, ok := c.Long(off); ok {
			return opt.Of(uint64(v))
		}
		return opt.Value[uint64]{}
	}
	toID := func(v uint64) ID { return ID{uint16(v), uint16(v >> 16)} }
	d.ID = opt.Map(long(regVendor), toID)
	if t, ok := c.HeaderType(); ok && t == 0 {
		d.Subsystem = named(opt.Map(long(regSubsystem), toID))
	}
	d.Class = opt.Map(long(regRevision), func(v uint64) Class { return Class(v >> 8) })
	d.Revision = opt.Map(long(regRevision), func(v uint64) uint8 { return uint8(v) })
	return d
}

func (r *reader) functions() {
	d := &r.device
	if target, ok := r.link("physfn").Get(); ok {
		if a, ok := parseCanonical(path.Base(target)); ok {
			d.PhysicalFunction = opt.Of(a)
		}
	}
	for name := range r.have {
		if !strings.HasPrefix(name, "virtfn") {
			continue
		}
		if a, ok := parseCanonical(path.Base(r.link(name).Or(""))); ok {
			d.VirtualFunctions = append(d.VirtualFunctions, a)
		}
	}
	slices.SortFunc(d.VirtualFunctions, Address.Compare)
}

func (r *reader) resets() {
	if r.have != nil {
		r.device.Resettable = opt.Of(r.have["reset"])
	}
	r.device.ResetMethods = strings.Fields(r.text("reset_method"))
}

// linkSpeed reads the four files of an Express link; a port without a card
// says "Unknown" or width 0.
func (r *reader) linkSpeed() {
	width, ok := r.small("current_link_width").Get()
	if !ok {
		return
	}
	r.device.Link = opt.Of(Link{
		Speed: r.text("current_link_speed"), Width: width,
		MaxSpeed: r.text("max_link_speed"), MaxWidth: r.small("max_link_width").Or(0),
	})
}
