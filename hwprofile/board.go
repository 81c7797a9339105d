package hwprofile

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/u-root/u-root/pkg/smbios"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/internal/units"
)

// Board is what the firmware says of itself. "" is absent; a placeholder that
// the maker forgot to fill in counts as absent.
type Board struct {
	Maker    string `json:"maker,omitempty"`
	Product  string `json:"product,omitempty"`
	Board    string `json:"board,omitempty"`
	Revision string `json:"revision,omitempty"`
	BIOS     string `json:"bios,omitempty"`
	BIOSDate string `json:"bios_date,omitempty"`
}

const dmi = "/sys/class/dmi/id/"

func (p *Profile) readBoard(files hostfs.Files) {
	read := func(name string) string {
		b, err := files.ReadFile(dmi + name)
		if err != nil {
			p.optional("board", err)
			return ""
		}
		return filled(string(b))
	}
	p.Board = Board{
		Maker: read("sys_vendor"), Product: read("product_name"), Board: read("board_name"),
		Revision: read("board_version"), BIOS: read("bios_version"), BIOSDate: read("bios_date"),
	}
}

// filled drops what makers leave in fields that they do not use.
func filled(s string) string {
	s = strings.TrimSpace(s)
	switch strings.ToLower(strings.TrimRight(s, ".")) {
	case "to be filled by o.e.m", "default string", "not specified", "system product name", "system manufacturer",
		"0123456789", "none", "n/a", "unknown", "not applicable", "empty":
		return ""
	}
	return s
}

// Memory is what is fitted.
type Memory struct {
	// Total is what Xen manages in Dom0, what the kernel manages elsewhere.
	Total opt.Value[units.KiB] `json:"total_kib,omitzero"`
	// Modules are the fitted ones; nil where the firmware's tables could not
	// be read, which takes root.
	Modules []Module `json:"modules,omitempty"`
	// ECC is how memory errors are corrected: "none", "parity",
	// "single-bit ECC", "multi-bit ECC", "CRC"; absent where the firmware does
	// not say.
	ECC opt.Value[string] `json:"ecc,omitzero"`
	// Controllers are those whose errors the kernel counts (EDAC): it has one
	// only where correction is switched on. In Dom0 it may miss them.
	Controllers []string `json:"edac,omitempty"`
}

// Module is one memory module.
type Module struct {
	Slot string    `json:"slot"`
	Size units.KiB `json:"size_kib"`
	// ECC is true where the module is wider than its data: 72 bits for 64.
	ECC opt.Value[bool] `json:"ecc,omitzero"`
}

const edac = "/sys/devices/system/edac/mc"

func (p *Profile) readMemory(files hostfs.Files) {
	if p.Role == role.Host {
		if p.Xen != nil {
			p.Memory.Total = p.Xen.Total
		}
	} else {
		p.Memory.Total = p.memTotal(files)
	}
	names, err := files.ReadDir(edac)
	p.optional("memory error counters", err)
	for _, n := range names {
		if b, err := files.ReadFile(edac + "/" + n + "/mc_name"); err == nil {
			p.Memory.Controllers = append(p.Memory.Controllers, strings.TrimSpace(string(b)))
		}
	}
	b, err := files.ReadFile("/sys/firmware/dmi/tables/DMI")
	if err != nil {
		p.optional("memory modules", err)
		return
	}
	p.gap("memory modules", p.Memory.parse(b))
}

// Types of SMBIOS structures: DMTF DSP0134 3.0, sections 7.17 and 7.18.
const (
	typeMemoryArray  = 16
	typeMemoryDevice = 17
	typeEnd          = 127
)

// parse reads the structures of /sys/firmware/dmi/tables/DMI: type, length,
// handle, fields, then strings.
//
//	10 17 2a 00 03 03 05 …              array: in use for memory, multi-bit is 06
//	11 28 2c 00 2a 00 fe ff 48 00 40 00 module: 72 bits, 64 of them data
func (m *Memory) parse(b []byte) error {
	const maxStructures = 4096
	for range maxStructures {
		t, rest, err := smbios.ParseTable(b)
		if t == nil || t.Type == typeEnd || len(b) == 0 {
			if t == nil && err != nil && len(b) > 0 {
				return fmt.Errorf("parse SMBIOS structures, %d bytes before the end: %w", len(b), err)
			}
			return nil
		}
		switch t.Type {
		case typeMemoryArray:
			// Use 3 is system memory; others are video memory, flash, cache.
			use, _ := t.GetByteAt(5)
			correction, err := t.GetByteAt(6)
			if name := corrections[correction]; err == nil && use == 3 && name != "" {
				m.ECC = opt.Of(name)
			}
		case typeMemoryDevice:
			m.module(t)
		}
		if len(rest) >= len(b) {
			return nil
		}
		b = rest
	}
	return nil
}

var corrections = map[uint8]string{3: "none", 4: "parity", 5: "single-bit ECC", 6: "multi-bit ECC", 7: "CRC"}

func (m *Memory) module(t *smbios.Table) {
	const unknown = 0xffff
	size, err := t.GetWordAt(0x0c)
	if err != nil || size == 0 || size == unknown { // 0: nothing in the slot
		return
	}
	one := Module{Size: units.KiB(size&0x7fff) << 10}
	switch {
	case size == 0x7fff: // the size stands in another field, in MiB
		long, err := t.GetDWordAt(0x1c)
		if err != nil {
			return
		}
		one.Size = units.KiB(long&0x7fffffff) << 10
	case size&0x8000 != 0:
		one.Size = units.KiB(size & 0x7fff)
	}
	one.Slot, _ = t.GetStringAt(0x10)
	one.Slot = filled(one.Slot)
	var width [4]byte
	if w, err := t.GetBytesAt(8, 4); err == nil {
		copy(width[:], w)
		total, data := binary.LittleEndian.Uint16(width[:]), binary.LittleEndian.Uint16(width[2:])
		if total != unknown && data != unknown && data > 0 && total > 0 {
			one.ECC = opt.Of(total > data)
		}
	}
	m.Modules = append(m.Modules, one)
}

func (p *Profile) memTotal(files hostfs.Files) opt.Value[units.KiB] {
	b, err := files.ReadFile("/proc/meminfo")
	p.gap("memory", err)
	var kib int64
	if n, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kib); err != nil || n != 1 {
		return opt.Value[units.KiB]{}
	}
	return opt.Of(units.KiB(kib))
}
