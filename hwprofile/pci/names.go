package pci

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"

	embedded "github.com/u-root/u-root/pkg/pci"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/xen"
)

// idFiles are the usual places: Debian and Ubuntu, then Fedora, SUSE, Arch,
// Alpine and XCP-ng, then a plain "make install" of pciutils.
var idFiles = [...]string{
	"/usr/share/misc/pci.ids", "/usr/share/misc/pci.ids.gz",
	"/usr/share/hwdata/pci.ids", "/usr/share/hwdata/pci.ids.gz",
	"/usr/share/pci.ids", "/usr/share/pci.ids.gz",
	"/usr/local/share/pci.ids", "/usr/local/share/pci.ids.gz",
}

// maxIDs bounds an unpacked file; that of 2025 has 1.5 MB.
const maxIDs = 32 << 20

// LoadIDs returns the names of the host's own pci.ids, or those that the
// program brings along where it has none (no classes are in them). Files that are broken are gaps; there are names always.
func LoadIDs(files hostfs.Files) (*IDs, []xen.Gap) {
	var gaps []xen.Gap
	for _, name := range idFiles {
		text, err := files.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			text, err = unpack(text)
		}
		if err != nil {
			gaps = append(gaps, xen.GapOf("PCI names of "+name, err))
			continue
		}
		ids, err := ParseIDs(text)
		if err != nil {
			gaps = append(gaps, xen.GapOf("some PCI names of "+name, err))
		}
		if len(ids.vendors) == 0 {
			continue
		}
		ids.Source = name
		return ids, gaps
	}
	return EmbeddedIDs(), gaps
}

// unpack undoes gzip where its magic number stands at the start.
func unpack(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxIDs+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(text) > maxIDs {
		return nil, fmt.Errorf("unpack: more than %d bytes: %w", maxIDs, hostfs.ErrTooLarge)
	}
	return text, nil
}

// EmbeddedIDs are the names in u-root's pkg/pci (v0.16.0): vendors and devices.
func EmbeddedIDs() *IDs {
	ids := newIDs(1 << 20)
	ids.Source = "embedded"
	for _, v := range embedded.IDs {
		ids.vendors[v.ID] = v.Name
		for _, d := range v.Devices {
			ids.devices[ID{v.ID, d.ID}] = d.Name
		}
	}
	return ids
}

// Overlay returns the names with those of another file before them.
func (t *IDs) Overlay(over *IDs) *IDs {
	merged := *t
	merged.vendors = merge(t.vendors, over.vendors)
	merged.devices = merge(t.devices, over.devices)
	merged.classes = merge(t.classes, over.classes)
	merged.subclasses = merge(t.subclasses, over.subclasses)
	return &merged
}

func merge[K comparable](under, over map[K]string) map[K]string {
	m := maps.Clone(under)
	maps.Copy(m, over)
	return m
}

// Vendor is the name of a vendor, "" unknown.
func (t *IDs) Vendor(v uint16) string { return t.vendors[v] }

// Device is the name of a part without its vendor's, "" unknown.
func (t *IDs) Device(id ID) string { return t.devices[id] }

// Class is the name of a subclass, else of its base class, "" unknown.
func (t *IDs) Class(c Class) string {
	if name, ok := t.subclasses[uint16(c.Sub())]; ok {
		return name
	}
	return t.classes[c.Base()]
}

// Name is vendor and part as lspci writes them: "Device 1912:0015" where
// nothing is known, "Renesas Device 0015" where only the vendor is. A function
// without an id is "Device ffff:ffff", which is what its bus answered.
func (t *IDs) Name(id opt.Value[ID]) string {
	pair := id.Or(ID{0xffff, 0xffff})
	vendor, device := t.vendors[pair.Vendor], t.devices[pair]
	switch {
	case vendor == "":
		return "Device " + pair.String()
	case device == "":
		return fmt.Sprintf("%s Device %04x", vendor, pair.Device)
	default:
		return vendor + " " + device
	}
}
