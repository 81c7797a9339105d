package pci

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrDump means that a text is no dump of lspci.
var ErrDump = errors.New("not a dump of lspci -x")

// maxDumpLine bounds a line; the longest of lspci -vvv stay below 1,000 bytes.
const maxDumpLine = 1 << 16

// ParseDump reads what lspci -x, -xxx or -xxxx printed, with or without -v, -n,
// -D: the functions with their configuration space. Driver, group and path are
// not in it. An error names the line and wraps ErrDump.
//
//	00:1f.2 SATA controller: Intel Corporation 8 Series/C220 [AHCI mode] (rev 05)
//	00: 86 80 02 8c 07 04 b0 02 05 01 06 01 00 00 00 00
//	10: 71 f0 00 00 61 f0 00 00 51 f0 00 00 41 f0 00 00
//
// Lines that begin with a blank (the words of -v) are left out on purpose.
func ParseDump(text []byte) ([]Device, error) {
	var devices []Device
	seen := map[Address]int{} // line
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, maxDumpLine)
	n := 0
	for scan.Scan() {
		n++
		line := scan.Text()
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		fail := func(why string) error {
			return fmt.Errorf("parse dump: line %d: %s: %q: %w", n, why, line[:min(len(line), 80)], ErrDump)
		}
		first, rest, _ := strings.Cut(line, " ")
		if offset, ok := strings.CutSuffix(first, ":"); ok {
			if len(devices) == 0 {
				return nil, fail("bytes before the first device")
			}
			if why := appendBytes(&devices[len(devices)-1].Config, offset, rest); why != "" {
				return nil, fail(why)
			}
			continue
		}
		at, err := ParseAddress(first)
		if err != nil {
			return nil, fail("neither a device nor bytes")
		}
		if before, dup := seen[at]; dup {
			return nil, fail(fmt.Sprintf("the device of line %d again", before))
		}
		if len(devices) == MaxDevices {
			return nil, fail(fmt.Sprintf("more than %d devices", MaxDevices))
		}
		seen[at] = n
		devices = append(devices, Device{Address: at})
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("parse dump: line %d: %w: %w", n+1, err, ErrDump)
	}
	for i := range devices {
		d := &devices[i]
		from := identityOf(d.Config)
		d.ID, d.Subsystem, d.Class, d.Revision = from.ID, from.Subsystem, from.Class, from.Revision
		d.Capabilities = decode(d.Config)
	}
	slices.SortFunc(devices, func(a, b Device) int { return a.Address.Compare(b.Address) })
	return devices, nil
}

// appendBytes adds one row; it says what is wrong with it, "" nothing.
func appendBytes(c *Config, offset, row string) string {
	at, err := strconv.ParseUint(offset, 16, 16)
	switch {
	case err != nil:
		return "the offset is no hexadecimal number"
	case int(at) != len(*c):
		return fmt.Sprintf("offset %#x follows %#x bytes", at, len(*c))
	}
	b, err := hex.DecodeString(strings.ReplaceAll(row, " ", ""))
	switch {
	case err != nil:
		return "want pairs of hexadecimal digits"
	case len(*c)+len(b) > configExtended:
		return fmt.Sprintf("more than %d bytes", configExtended)
	}
	*c = append(*c, b...)
	return ""
}
