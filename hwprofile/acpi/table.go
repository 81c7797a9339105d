// Package acpi decodes the two firmware tables that describe an IOMMU: DMAR of
// Intel and IVRS of AMD. Xen hides the first from Dom0 by another signature;
// what is in it stays true.
package acpi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

const tables = "/sys/firmware/acpi/tables/"

// ErrTable means that a table is cut off or contradicts itself.
var ErrTable = errors.New("broken ACPI table")

// Signatures of the table of Intel's IOMMU. Xen overwrites the first letters
// so that Dom0 does not drive the hardware: XMAR in 4.1 to 4.5, RMAD since 4.6
// (commit 123c779379), with iommu=0 on its command line too.
const (
	SignatureDMAR = "DMAR"
	SignatureRMAD = "RMAD"
	SignatureXMAR = "XMAR"
	SignatureIVRS = "IVRS"
)

// Header is the start of every table: ACPI 6.5, table 5.4.
type Header struct {
	Signature string `json:"signature"`
	Length    uint32 `json:"length"`
	Revision  uint8  `json:"revision"`
	OEM       string `json:"oem"`
	OEMTable  string `json:"oem_table"`
	// ChecksumOK is false where the sum of all bytes is not 0: firmware does
	// that, Linux warns and goes on. Xen's names keep a true sum: RMAD has the
	// same letters, and with XMAR went a change of the checksum.
	ChecksumOK bool `json:"checksum_ok"`
}

const headerSize = 36

func parseHeader(b []byte, signatures ...string) (Header, error) {
	if len(b) < headerSize {
		return Header{}, fmt.Errorf("%d bytes are less than a header: %w", len(b), ErrTable)
	}
	h := Header{
		Signature: string(b[:4]), Length: binary.LittleEndian.Uint32(b[4:]), Revision: b[8],
		OEM: printable(b[10:16]), OEMTable: printable(b[16:24]),
	}
	switch {
	case !slices.Contains(signatures, h.Signature):
		return Header{}, fmt.Errorf("the signature is %q, not one of %q: %w", h.Signature, signatures, ErrTable)
	case int64(h.Length) > int64(len(b)) || h.Length < headerSize:
		return Header{}, fmt.Errorf("the header says %d bytes, there are %d: %w", h.Length, len(b), ErrTable)
	}
	var sum uint8
	for _, c := range b[:h.Length] {
		sum += c
	}
	h.ChecksumOK = sum == 0
	return h, nil
}

// faults collects what is wrong with a table, bounded.
type faults struct {
	list []error
	more int
}

const maxFaults = 8

func (f *faults) add(at int, format string, args ...any) {
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, fmt.Errorf("offset %#x: %w", at, fmt.Errorf(format, args...)))
}

func (f *faults) err() error {
	switch {
	case len(f.list) == 0:
		return nil
	case f.more > 0:
		return fmt.Errorf("%w and %d more: %w", errors.Join(f.list...), f.more, ErrTable)
	default:
		return fmt.Errorf("%w: %w", errors.Join(f.list...), ErrTable)
	}
}

// printable keeps what may be shown of a firmware's text.
func printable(b []byte) string {
	s := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= ' ' && c < 0x7f {
			s = append(s, c)
		}
	}
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return string(s)
}

// ReadDMAR reads the table of Intel's IOMMU under whichever name the kernel
// shows it. The error wraps cause.ErrNoData where the firmware has none,
// fs.ErrPermission for other users than root, ErrTable where it is broken;
// beside the last, what can be understood is returned.
func ReadDMAR(files hostfs.Files) (DMAR, error) {
	b, name, err := readFirst(files, SignatureDMAR, SignatureRMAD, SignatureXMAR)
	if err != nil {
		return DMAR{}, err
	}
	t, err := ParseDMAR(b)
	if err != nil {
		err = fmt.Errorf("read %s%s: %w", tables, name, err)
	}
	return t, err
}

// ReadIVRS reads the table of AMD's IOMMU; errors as of ReadDMAR.
func ReadIVRS(files hostfs.Files) (IVRS, error) {
	b, name, err := readFirst(files, SignatureIVRS)
	if err != nil {
		return IVRS{}, err
	}
	t, err := ParseIVRS(b)
	if err != nil {
		err = fmt.Errorf("read %s%s: %w", tables, name, err)
	}
	return t, err
}

func readFirst(files hostfs.Files, names ...string) ([]byte, string, error) {
	for _, name := range names {
		b, err := files.ReadFile(tables + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("read ACPI table: %w", err)
		}
		return b, name, nil
	}
	// A machine without the folder has no ACPI, or /sys is not there at all:
	// the caller knows which.
	return nil, "", fmt.Errorf("read ACPI table: none of %q in %s: %w", names, tables, cause.ErrNoData)
}
