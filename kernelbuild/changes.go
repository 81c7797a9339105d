package kernelbuild

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"xtm/kernelbuild/kconfig"
)

// Listed is a file that a build says it made. SHA256 is "" where it does not say.
type Listed struct {
	File   string
	SHA256 string
}

// ErrChanges means that a list of built packages cannot be read.
var ErrChanges = errors.New("not a list of built packages")

// ParseChanges reads the packages of a .changes file, which kernels from 4.18 on
// leave beside their tree.
//
// linux-upstream_6.1.176-xen-1_amd64.changes, Linux 6.1:
//
//	Format: 1.8
//	Architecture: amd64
//	Checksums-Sha256:
//	 0f3c…e1 7903724 linux-headers-6.1.176-xen_6.1.176-xen-1_amd64.deb
//	 81aa…07 1274884 linux-libc-dev_6.1.176-xen-1_amd64.deb
//	Files:
//	 1d2f…aa 7903724 kernel optional linux-headers-6.1.176-xen_6.1.176-xen-1_amd64.deb
func ParseChanges(b []byte) ([]Listed, error) {
	var out []Listed
	inside := false
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if !strings.HasPrefix(text, " ") {
			inside = strings.TrimSpace(text) == "Checksums-Sha256:"
			continue
		}
		if !inside {
			continue
		}
		f := strings.Fields(text)
		if len(f) != 3 || !sha256Hex.MatchString(f[0]) {
			return nil, fmt.Errorf("read .changes: line %d: %w: %q", n, ErrChanges, text)
		}
		if packageFile.MatchString(f[2]) {
			out = append(out, Listed{f[2], f[0]})
		} else if strings.HasSuffix(f[2], ".deb") {
			return nil, fmt.Errorf("read .changes: line %d: %w: the name %q", n, ErrChanges, f[2])
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read .changes: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read .changes: %w: it names no package", ErrChanges)
	}
	return out, nil
}

// ParseFiles reads debian/files, which older kernels leave in their tree.
//
// Linux 3.13:
//
//	linux-headers-3.13.10-tmem_1_amd64.deb kernel optional
//	linux-image-3.13.10-tmem_1_amd64.deb kernel optional
func ParseFiles(b []byte) ([]Listed, error) {
	var out []Listed
	for n, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasSuffix(f[0], ".buildinfo") {
			continue
		}
		if len(f) < 3 || !packageFile.MatchString(f[0]) {
			return nil, fmt.Errorf("read debian/files: line %d: %w: %q", n+1, ErrChanges, line)
		}
		out = append(out, Listed{File: f[0]})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read debian/files: %w: it names no package", ErrChanges)
	}
	return out, nil
}

// KindOf tells what a package of a kernel build is for; false for one that no
// kernel build makes.
func KindOf(name string) (PackageKind, bool) {
	switch {
	case strings.HasPrefix(name, "linux-image-") && strings.HasSuffix(name, "-dbg"):
		return Debug, true
	case strings.HasPrefix(name, "linux-image-"):
		return Image, true
	case strings.HasPrefix(name, "linux-headers-"):
		return Headers, true
	case name == "linux-libc-dev":
		return LibcDev, true
	default:
		return "", false
	}
}

// ModulesOf lists the files that a package must have for requests that became
// modules, below the kernel's folder of modules, without what compresses them.
func ModulesOf(c *kconfig.Config, requests []kconfig.Request) []string {
	files := map[string]string{
		"XEN_TMEM": "drivers/xen/tmem.ko", "XEN_BLKDEV_FRONTEND": "drivers/block/xen-blkfront.ko", "XEN_NETDEV_FRONTEND": "drivers/net/xen-netfront.ko",
	}
	var out []string
	for _, r := range requests {
		if file, ok := files[r.Symbol]; ok && c.Text(r.Symbol) == "m" {
			out = append(out, file)
		}
	}
	return out
}
