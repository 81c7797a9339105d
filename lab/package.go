package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernelPackage is what a package with a kernel holds, such as xtm kernel build
// makes one.
type kernelPackage struct {
	release string
	kernel  string
	// modules are those that a guest needs, in the order in which insmod takes
	// them, and tmem where there is one.
	modules []string
}

// openKernelPackage unpacks a package below dir.
func openKernelPackage(deb, dir string) (kernelPackage, error) {
	var p kernelPackage
	if _, err := output(exec.Command("dpkg-deb", "--extract", deb, dir)); err != nil {
		return p, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
	}
	kernels, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return p, fmt.Errorf("look for a kernel in %s: found %d", filepath.Base(deb), len(kernels))
	}
	p.kernel = kernels[0]
	p.release = strings.TrimPrefix(filepath.Base(p.kernel), "vmlinuz-")
	folder := filepath.Join(dir, "lib/modules", p.release)
	all, err := findModules(folder)
	if err != nil {
		return p, err
	}
	builtin, err := os.ReadFile(filepath.Join(folder, "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	wanted := needsModules(string(builtin), guestDrivers...)
	if _, ok := all["tmem"]; ok {
		wanted = append(wanted, "tmem")
	}
	p.modules, err = all.closure(wanted...)
	return p, err
}

// guestDrivers are what a guest of the lab finds its disks by.
var guestDrivers = []string{"crc32c_generic", "ext4", "xen-blkfront"}

// needsModules are the drivers that are not built in, as modules.builtin has it:
//
//	kernel/fs/ext4/ext4.ko
func needsModules(builtin string, drivers ...string) []string {
	var out []string
	has := map[string]bool{}
	for path := range strings.Lines(builtin) {
		has[moduleName(strings.TrimSuffix(filepath.Base(strings.TrimSpace(path)), ".ko"))] = true
	}
	for _, d := range drivers {
		if !has[moduleName(d)] {
			out = append(out, d)
		}
	}
	return out
}
