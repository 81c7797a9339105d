package pci

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/xen"
)

// maxText bounds one attribute: sysfs gives a page at most.
const maxText = 4096

func (r *reader) gap(what string, err error) {
	r.gaps = append(r.gaps, xen.GapOf(what+" of PCI device "+r.device.Address.String(), err))
}

// bytes reads an attribute that is there. One that the kernel cannot give now
// (a device in D3cold, a port without a card) answers EINVAL, EIO or ENODEV:
// that is a gap, as is a missing privilege.
func (r *reader) bytes(name string) ([]byte, bool) {
	if r.have != nil && !r.have[name] {
		return nil, false
	}
	b, err := r.files.ReadFile(r.dir + "/" + name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.gap(name, err)
		}
		return nil, false
	}
	return b, true
}

// text is an attribute without its newline, "" where there is none.
func (r *reader) text(name string) string {
	b, ok := r.bytes(name)
	if !ok {
		return ""
	}
	s := strings.TrimSpace(string(b[:min(len(b), maxText)]))
	if strings.IndexFunc(s, control) >= 0 {
		r.gap(name, fmt.Errorf("control characters in %q", s))
		return ""
	}
	return s
}

// hex reads "0x8086\n" of so many bits.
func (r *reader) hex(name string, bits int) opt.Value[uint64] {
	digits, ok := strings.CutPrefix(r.text(name), "0x")
	if !ok {
		if digits != "" {
			r.gap(name, fmt.Errorf("want 0x and digits, not %q", digits))
		}
		return opt.Value[uint64]{}
	}
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || v>>bits != 0 {
		r.gap(name, fmt.Errorf("want %d bits in hexadecimal, not 0x%s", bits, digits))
		return opt.Value[uint64]{}
	}
	return opt.Of(v)
}

// small reads a decimal number of 32 bits.
func (r *reader) small(name string) opt.Value[int] {
	s := r.text(name)
	if s == "" {
		return opt.Value[int]{}
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		r.gap(name, fmt.Errorf("want a number, not %q", s))
		return opt.Value[int]{}
	}
	return opt.Of(int(v))
}

// count is the number of entries of a folder; absent where there is none.
func (r *reader) count(name string) opt.Value[int] {
	if r.have != nil && !r.have[name] {
		return opt.Value[int]{}
	}
	names, err := r.files.ReadDir(r.dir + "/" + name)
	if err != nil {
		return opt.Value[int]{}
	}
	return opt.Of(len(names))
}

// link is the text of a symbolic link.
func (r *reader) link(name string) opt.Value[string] {
	if r.have != nil && !r.have[name] {
		return opt.Value[string]{}
	}
	target, err := r.files.Readlink(r.dir + "/" + name)
	if err != nil {
		return opt.Value[string]{}
	}
	return opt.Of(target)
}

// linkNumber is the number that a link's last part is: iommu_group ->
// ../../../kernel/iommu_groups/7.
func (r *reader) linkNumber(name string) opt.Value[uint64] {
	target, ok := r.link(name).Get()
	if !ok {
		return opt.Value[uint64]{}
	}
	n, err := strconv.ParseUint(path.Base(target), 10, 31)
	if err != nil {
		r.gap(name, fmt.Errorf("the link leads to %q, not to a number", target))
		return opt.Value[uint64]{}
	}
	return opt.Of(n)
}

// parseResources reads the ranges of a function, three numbers a line. Lines
// of zeros are registers without a range. 7, 11, 13 or 17 lines are usual:
// with SR-IOV six more stand after the ROM, and a bridge's windows come last.
//
//	0x00000000f7f00000 0x00000000f7f1ffff 0x0000000000040200
//	0x0000000000000000 0x0000000000000000 0x0000000000000000
//
// (Linux 6.1, /sys/bus/pci/devices/0000:00:19.0/resource).
func parseResources(b []byte) ([]Resource, error) {
	if len(b) > maxText {
		return nil, fmt.Errorf("%d bytes are more than a page: %w", len(b), cause.ErrNotSupported)
	}
	var rs []Resource
	i := 0
	for line := range bytes.Lines(b) {
		r, err := parseResource(strings.Fields(string(line)))
		if err != nil {
			return rs, fmt.Errorf("line %d: %w: %q", i+1, err, bytes.TrimSpace(line))
		}
		if r.Start != 0 || r.End != 0 || r.Flags != 0 {
			r.Index = i
			rs = append(rs, r)
		}
		i++
	}
	return rs, nil
}

func parseResource(fields []string) (Resource, error) {
	if len(fields) != 3 {
		return Resource{}, errors.New("want start, end and flags")
	}
	var v [3]uint64
	for i, f := range fields {
		n, err := strconv.ParseUint(strings.TrimPrefix(f, "0x"), 16, 64)
		if err != nil {
			return Resource{}, errors.New("want hexadecimal numbers")
		}
		v[i] = n
	}
	if v[1] < v[0] {
		return Resource{}, errors.New("the end is before the start")
	}
	return Resource{Start: v[0], End: v[1], Flags: v[2]}, nil
}

func pair(vendor, device opt.Value[uint64]) opt.Value[ID] {
	return opt.Both(vendor, device, func(v, d uint64) ID { return ID{uint16(v), uint16(d)} })
}

// named drops the pairs that mean that there is none.
func named(id opt.Value[ID]) opt.Value[ID] {
	switch v, _ := id.Get(); v {
	case ID{}, ID{0xffff, 0xffff}:
		return opt.Value[ID]{}
	default:
		return id
	}
}

func orElse[T any](a, b opt.Value[T]) opt.Value[T] {
	if a.Has() {
		return a
	}
	return b
}
