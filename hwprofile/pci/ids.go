package pci

import (
	"errors"
	"fmt"
	"strings"
)

// IDs are the names of a pci.ids file: vendors, devices and classes. Those of
// boards and of programming interfaces are checked and left aside.
type IDs struct {
	// Source is the file, or what stands for one.
	Source string
	// Version is the file's own "Version:" line: 2023.04.11; "" without one.
	Version string

	vendors    map[uint16]string
	devices    map[ID]string
	classes    map[uint8]string
	subclasses map[uint16]string
}

// ErrIDs means that a line of a pci.ids file was not understood.
var ErrIDs = errors.New("not a line of pci.ids")

// maxIDErrors bounds how many bad lines are told.
const maxIDErrors = 5

// ParseIDs reads a pci.ids file. Beside an error, which wraps ErrIDs and tells
// the first bad lines, all that was understood is returned: one bad line must
// not cost the names of a whole host. As in libpci, the first of two entries
// for one number stays and the second is an error.
//
//	# Version: 2023.04.11
//	104c  Texas Instruments
//		8023  TSB43AB22A IEEE-1394a-2000 Controller (PHY/Link) [iOHCI-Lynx]
//			103c 088c  NC8000 laptop
//	C 0c  Serial bus controller
//		03  USB controller
//			30  XHCI
//
// (Debian's pci.ids 0.0~2023.04.11-1). Blocks of other capital letters than C
// and S are reserved and skipped.
func ParseIDs(text []byte) (*IDs, error) {
	p := idParser{ids: newIDs(len(text))}
	all := string(text) // names are parts of it: no copy each
	for n := 1; all != ""; n++ {
		line, rest, _ := strings.Cut(all, "\n")
		all = rest
		if err := p.line(strings.TrimRight(line, " \t\r")); err != nil {
			p.bad++
			if p.bad <= maxIDErrors {
				p.errs = append(p.errs, fmt.Errorf("line %d: %w: %q", n, err, line[:min(len(line), 80)]))
			}
		}
	}
	if p.bad > maxIDErrors {
		p.errs = append(p.errs, fmt.Errorf("%d more such lines", p.bad-maxIDErrors))
	}
	if p.bad > 0 {
		return p.ids, fmt.Errorf("parse pci.ids: %w: %w", errors.Join(p.errs...), ErrIDs)
	}
	return p.ids, nil
}

// newIDs makes room for what a file of so many bytes holds: the share of each
// kind is that of the file of 2023.
func newIDs(size int) *IDs {
	return &IDs{
		vendors: make(map[uint16]string, size/500), devices: make(map[ID]string, size/70),
		classes: map[uint8]string{}, subclasses: map[uint16]string{},
	}
}

// block is what the nested lines belong to.
type block uint8

const (
	noBlock block = iota
	vendorBlock
	classBlock
	genericBlock
	reservedBlock
)

type idParser struct {
	ids    *IDs
	block  block
	first  uint16 // vendor, class
	nested bool   // a device or subclass is open
	bad    int
	errs   []error
}

var (
	errFormat    = errors.New("want a number in hexadecimal, blanks and a name")
	errDuplicate = errors.New("this number has a name already")
	errNesting   = errors.New("nested under nothing, or too deep")
	errControl   = errors.New("control characters in the name")
	errVendor    = errors.New("generic subsystems of an unknown vendor")
)

func (p *idParser) line(line string) error {
	body := strings.TrimLeft(line, "\t")
	switch depth := len(line) - len(body); {
	case strings.TrimLeft(body, " ") == "", strings.TrimLeft(body, " ")[0] == '#':
		p.comment(line)
		return nil
	case strings.IndexFunc(body, func(c rune) bool { return control(c) && c != '\t' }) >= 0:
		return errControl
	case depth == 0:
		return p.top(body)
	case p.block == reservedBlock:
		return nil
	case depth == 1 && p.block != noBlock:
		return p.child(body)
	case depth == 2 && p.nested:
		return p.grandchild(body)
	default:
		return errNesting
	}
}

// control tells whether a terminal may take a character for a command.
func control(c rune) bool { return c < ' ' || 0x7f <= c && c <= 0x9f }

func (p *idParser) comment(line string) {
	// "#	Version: 2023.04.11" in Debian's, "# Version: …" elsewhere.
	if v, ok := strings.CutPrefix(strings.TrimLeft(line, "# \t"), "Version:"); ok && p.ids.Version == "" {
		p.ids.Version = strings.TrimSpace(v)
	}
}

func (p *idParser) top(body string) error {
	p.nested, p.block = false, noBlock
	kind := ""
	if len(body) >= 2 && body[0] >= 'A' && body[0] <= 'Z' && body[1] == ' ' {
		kind, body = body[:1], body[2:]
	}
	switch kind {
	case "":
		v, name, err := entry(body, 4)
		if err != nil {
			return err
		}
		p.block, p.first = vendorBlock, v
		return put(p.ids.vendors, v, name)
	case "C":
		v, name, err := entry(body, 2)
		if err != nil {
			return err
		}
		p.block, p.first = classBlock, v
		return put(p.ids.classes, uint8(v), name)
	case "S":
		v, rest, ok := number(body, 4)
		if !ok || rest != "" {
			return errFormat
		}
		if _, known := p.ids.vendors[v]; !known {
			return errVendor
		}
		p.block, p.first = genericBlock, v
		return nil
	default:
		p.block = reservedBlock
		return nil
	}
}

func (p *idParser) child(body string) error {
	p.nested = false
	digits := 4
	if p.block == classBlock {
		digits = 2
	}
	v, name, err := entry(body, digits)
	if err != nil {
		return err
	}
	switch p.block {
	case genericBlock:
		return nil
	case classBlock:
		p.nested = true
		return put(p.ids.subclasses, p.first<<8|v, name)
	default:
		p.nested = true
		return put(p.ids.devices, ID{p.first, v}, name)
	}
}

func (p *idParser) grandchild(body string) error {
	if p.block == classBlock {
		_, _, err := entry(body, 2)
		return err
	}
	_, rest, ok := number(body, 4)
	if !ok || rest == "" || rest[0] != ' ' {
		return errFormat
	}
	_, _, err := entry(rest[1:], 4)
	return err
}

// entry reads a number of so many digits, blanks, and a name.
func entry(s string, digits int) (uint16, string, error) {
	v, rest, ok := number(s, digits)
	name := strings.TrimLeft(rest, " \t")
	if !ok || name == "" || len(name) == len(rest) {
		return 0, "", errFormat
	}
	return v, name, nil
}

func number(s string, digits int) (uint16, string, bool) {
	if len(s) < digits {
		return 0, "", false
	}
	var v uint16
	for _, c := range []byte(s[:digits]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, "", false
		}
		v = v<<4 | uint16(c)
	}
	return v, s[digits:], true
}

func put[K comparable](m map[K]string, k K, name string) error {
	if _, dup := m[k]; dup {
		return errDuplicate
	}
	m[k] = name
	return nil
}
