package pcitest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteSysfs writes the host below root as the kernel shows it: /sys/devices,
// /sys/bus/pci and, where groups are named, /sys/kernel/iommu_groups.
func (h Host) WriteSysfs(root string) error {
	for _, dir := range []string{"sys/bus/pci/devices", "sys/bus/pci/drivers"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for _, d := range h {
		if err := h.writeDevice(root, d); err != nil {
			return fmt.Errorf("write %s: %w", d.At, err)
		}
	}
	return nil
}

// folder is where the device lies below /sys: devices/pci0000:00/0000:00:1c.5.
func (h Host) folder(d Device) string {
	chain := []string{d.Address().String()}
	for range h {
		p, ok := h.parent(d)
		if !ok {
			break
		}
		chain = append(chain, p.Address().String())
		d = p
	}
	at := d.Address()
	chain = append(chain, fmt.Sprintf("pci%04x:%02x", at.Domain, at.Bus))
	slices.Reverse(chain)
	return filepath.Join("devices", filepath.Join(chain...))
}

func (h Host) writeDevice(root string, d Device) error {
	sys := filepath.Join(root, "sys")
	folder := h.folder(d)
	dir := filepath.Join(sys, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := d.Address().String()
	if err := os.Symlink("../../../"+folder, filepath.Join(sys, "bus/pci/devices", name)); err != nil {
		return err
	}
	for file, text := range d.files() {
		if slices.Contains(d.Omit, file) || file == "uevent" && len(d.Omit) > 0 { // which says the same again
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			return err
		}
	}
	up := strings.Repeat("../", strings.Count(folder, "/")+1)
	if d.Driver != "" {
		if err := os.MkdirAll(filepath.Join(sys, "bus/pci/drivers", d.Driver), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(up+"bus/pci/drivers/"+d.Driver, filepath.Join(dir, "driver")); err != nil {
			return err
		}
	}
	if d.Group == "" {
		return nil
	}
	group := filepath.Join(sys, "kernel/iommu_groups", d.Group)
	if err := os.MkdirAll(filepath.Join(group, "devices"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink("../../../../"+folder, filepath.Join(group, "devices", name)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(group, "type"), []byte("DMA\n"), 0o644); err != nil {
		return err
	}
	return os.Symlink(up+"kernel/iommu_groups/"+d.Group, filepath.Join(dir, "iommu_group"))
}

// files are the attributes of one function.
func (d Device) files() map[string][]byte {
	vendor, device := id(d.ID)
	f := map[string][]byte{
		"config":    d.Config(),
		"vendor":    fmt.Appendf(nil, "0x%04x\n", vendor),
		"device":    fmt.Appendf(nil, "0x%04x\n", device),
		"class":     fmt.Appendf(nil, "0x%06x\n", d.Class),
		"revision":  fmt.Appendf(nil, "0x%02x\n", d.Revision),
		"irq":       fmt.Appendf(nil, "%d\n", d.IRQ),
		"numa_node": []byte("-1\n"),
		"resource":  d.resource(),
	}
	sv, sd := uint16(0), uint16(0)
	if d.Sub != "" {
		sv, sd = id(d.Sub)
	}
	f["subsystem_vendor"] = fmt.Appendf(nil, "0x%04x\n", sv)
	f["subsystem_device"] = fmt.Appendf(nil, "0x%04x\n", sd)
	if d.Driver != "" {
		f["uevent"] = fmt.Appendf(nil, "DRIVER=%s\n", d.Driver)
	}
	f["uevent"] = fmt.Appendf(f["uevent"], "PCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n", d.Class, vendor, device, sv, sd, d.Address())
	if d.Label != "" {
		f["label"] = []byte(d.Label + "\n")
	}
	if d.Resets != "" {
		f["reset"] = nil
		f["reset_method"] = []byte(d.Resets + "\n")
	}
	if d.Class>>16 == 3 {
		f["boot_vga"] = []byte("0\n")
		if d.BootVGA {
			f["boot_vga"] = []byte("1\n")
		}
	}
	return f
}

func (d Device) resource() []byte {
	n := 7
	if d.Header == 1 {
		n = 11
	}
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("0x%016x 0x%016x 0x%016x\n", 0, 0, 0)
	}
	for _, r := range d.Resources {
		lines[r.Index] = fmt.Sprintf("0x%016x 0x%016x 0x%016x\n", r.Start, r.End, r.Flags)
	}
	return []byte(strings.Join(lines, ""))
}
