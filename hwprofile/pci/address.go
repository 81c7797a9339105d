// Package pci reads the PCI functions of a host and says what can be known of
// them without touching them: their tree, their names, which of them cannot be
// kept apart by an IOMMU and why. It opens files through hostfs only and starts
// no program.
package pci

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Address is where a PCI function answers: domain (segment), bus, device and
// function. The zero value is 0000:00:00.0, the host bridge of most machines.
// Domains behind a VMD bridge have more than 16 bits (10000:e0:06.0).
type Address struct {
	Domain   uint32
	Bus      uint8
	Device   uint8 // 0–31
	Function uint8 // 0–7
}

// String is the kernel's spelling, 0000:00:1f.2: the only one that xtm prints.
func (a Address) String() string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 16)
	if a.Domain > 0xffff {
		b = strconv.AppendUint(b, uint64(a.Domain), 16)
	} else {
		b = append(b, hex[a.Domain>>12], hex[a.Domain>>8&15], hex[a.Domain>>4&15], hex[a.Domain&15])
	}
	b = append(b, ':', hex[a.Bus>>4], hex[a.Bus&15], ':', hex[a.Device>>4&15], hex[a.Device&15], '.', hex[a.Function&15])
	return string(b)
}

// Compare orders by domain, bus, device and function.
func (a Address) Compare(b Address) int {
	return cmp.Or(
		cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Bus, b.Bus),
		cmp.Compare(a.Device, b.Device), cmp.Compare(a.Function, b.Function),
	)
}

// WithFunction is another function of the same device.
func (a Address) WithFunction(fn uint8) Address {
	a.Function = fn
	return a
}

// Join writes addresses for a sentence: "0000:00:14.0, 0000:00:1a.0".
func Join(as []Address) string {
	s := make([]string, len(as))
	for i, a := range as {
		s[i] = a.String()
	}
	return strings.Join(s, ", ")
}

// MarshalText writes String.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what ParseAddress reads.
func (a *Address) UnmarshalText(b []byte) error {
	v, err := ParseAddress(string(b))
	if err == nil {
		*a = v
	}
	return err
}

// ParseAddress reads every spelling that Xen's neighbours use; a missing domain
// is 0:
//
//	0000:05:03.0   05:03.0     the kernel, xl, lspci
//	0000-05-03-0               xenstore
//	0/0000:05:03.0             XAPI
//	05_03.0                    Qubes
//	pci_0000_05_03_0           libvirt
//	0000:05:03:0               procfs for Go
func ParseAddress(s string) (Address, error) {
	fail := func() (Address, error) {
		return Address{}, fmt.Errorf("parse PCI address %q: want [DOMAIN:]BUS:DEVICE.FUNCTION in hexadecimal", s)
	}
	text := strings.TrimPrefix(s, "pci_")
	if _, rest, ok := strings.Cut(text, "/"); ok {
		text = rest
	}
	if len(text) > len("7fffffff:ff:1f.7") {
		return fail()
	}
	parts := strings.FieldsFunc(text, isSeparator)
	// FieldsFunc drops empty parts; "1::2.3" must not pass for "1:2.3".
	if seps := strings.Count(strings.Map(separatorOnly, text), "."); seps != len(parts)-1 {
		return fail()
	}
	if len(parts) == 3 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != 4 {
		return fail()
	}
	var v [4]uint64
	for i, limit := range [4]uint64{0x7fffffff, 0xff, 0x1f, 7} {
		n, err := strconv.ParseUint(parts[i], 16, 32)
		if err != nil || n > limit {
			return fail()
		}
		v[i] = n
	}
	return Address{uint32(v[0]), uint8(v[1]), uint8(v[2]), uint8(v[3])}, nil
}

func isSeparator(r rune) bool { return r == ':' || r == '.' || r == '-' || r == '_' }

func separatorOnly(r rune) rune {
	if isSeparator(r) {
		return '.'
	}
	return -1
}

// parseCanonical reads only what String writes: the name of a sysfs folder.
func parseCanonical(s string) (Address, bool) {
	a, err := ParseAddress(s)
	return a, err == nil && a.String() == s
}
