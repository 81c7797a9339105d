// Package units gives memory sizes types that carry their unit, so that pages
// and KiB cannot be added by mistake. All are signed: differences are legal.
package units

// Pages counts pages of 4 KiB, Xen's unit.
type Pages int64

// KiB counts units of 1,024 bytes, the unit of xentop and xenstore.
type KiB int64

// MiB counts units of 1,048,576 bytes, the unit of xl.
type MiB int64

// Bytes counts bytes.
type Bytes int64

// DomID is Xen's domain number; 0 is Dom0. It is reused after a reboot of the
// host and changes when a domain is created again.
type DomID uint16

// PageSize is the size of a page on x86 in bytes.
const PageSize = 4096

// KiB converts exactly.
func (p Pages) KiB() KiB { return KiB(p) * 4 }

// Bytes converts exactly.
func (p Pages) Bytes() Bytes { return Bytes(p) * PageSize }

// Pages converts, rounding towards zero: a part of a page is not a page.
func (k KiB) Pages() Pages { return Pages(k / 4) }

// Bytes converts exactly.
func (k KiB) Bytes() Bytes { return Bytes(k) * 1024 }

// KiB converts exactly.
func (m MiB) KiB() KiB { return KiB(m) * 1024 }

// Bytes converts exactly.
func (m MiB) Bytes() Bytes { return Bytes(m) << 20 }
