package kernelbuild

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"xtm/kernelbuild/kconfig"
)

// ExportSchema is the version of Export's JSON form.
const ExportSchema = 1

// Export is what a build elsewhere must know of the machine that a kernel is
// for. It holds no names of disks, users or keys.
type Export struct {
	Schema int    `json:"schema"`
	Target Target `json:"target"`
	// Config is the text of the configuration; "" where none was found.
	Config string `json:"config"`
	// Modules are the loaded ones, by the names of /proc/modules.
	Modules []string `json:"modules"`
	// DKMS are the modules that are built for each kernel anew, by name.
	DKMS []string `json:"dkms"`
	// Crypttab and Mdadm tell that disks are encrypted, or joined, at boot.
	Crypttab bool `json:"crypttab"`
	Mdadm    bool `json:"mdadm"`
	// BootLoader is "grub", "extlinux", or "" where neither was seen.
	BootLoader string `json:"boot_loader"`
}

// ErrExport means that a file is no export of a machine.
var ErrExport = errors.New("not an export of a machine")

// maxExport bounds an export; the configuration is nearly all of it.
const maxExport = 16 << 20

// ParseExport reads what kernel check --export wrote. An error wraps ErrExport.
func ParseExport(b []byte) (Export, error) {
	if len(b) > maxExport {
		return Export{}, fmt.Errorf("%w: over %d bytes", ErrExport, maxExport)
	}
	var e Export
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Export{}, fmt.Errorf("%w: %w", ErrExport, err)
	}
	switch {
	case d.More():
		return Export{}, fmt.Errorf("%w: something follows it", ErrExport)
	case e.Schema != ExportSchema:
		return Export{}, fmt.Errorf("%w of this xtm: schema %d, and it reads %d", ErrExport, e.Schema, ExportSchema)
	case !releaseName.MatchString(e.Target.Release):
		return Export{}, fmt.Errorf("%w: release %q", ErrExport, e.Target.Release)
	case e.Target.Initrd != "" && !packageName.MatchString(e.Target.Initrd):
		return Export{}, fmt.Errorf("%w: compressor %q", ErrExport, e.Target.Initrd)
	case !packageName.MatchString(e.Target.Architecture):
		return Export{}, fmt.Errorf("%w: architecture %q", ErrExport, e.Target.Architecture)
	}
	for _, m := range e.Modules {
		if !packageName.MatchString(moduleName(m)) {
			return Export{}, fmt.Errorf("%w: module %q", ErrExport, m)
		}
	}
	return e, nil
}

// moduleName is a module's name in the letters of a package's.
func moduleName(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c == '_':
			b[i] = '-'
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Base reads the configuration; nil where there is none.
func (e Export) Base() (*kconfig.Config, error) {
	if e.Config == "" {
		return nil, nil //nolint:nilnil // absent is no error here, as in Facts.Config
	}
	return kconfig.ReadConfig([]byte(e.Config))
}
