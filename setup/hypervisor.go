package setup

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Hypervisor is a Xen: the running one, or an image of the boot menu.
type Hypervisor struct {
	// Image is its path as the menu has it; "" is the running one.
	Image   string
	Version xen.Version
	// HasTmem is whether it was built with tmem; absent is could not tell.
	HasTmem opt.Value[bool]
	// Evidence says where these are from.
	Evidence string
}

// String names it for people.
func (h Hypervisor) String() string {
	name := "Xen"
	if h.Version.Known() {
		name += " " + h.Version.String()
	}
	if h.Image == "" {
		return "the running " + name
	}
	return name + " in " + h.Image
}

// readImage finds out what an image is from the configuration beside it. A
// symbolic link, xen.gz, is named by its target.
func readImage(files hostfs.Files, image string) (Hypervisor, error) {
	h := Hypervisor{Image: image}
	at := path.Join("/boot", image) // where /boot is a file system of its own
	if found, err := files.Exists(at); err != nil {
		return h, err
	} else if !found {
		at = image
	}
	names := []string{at}
	if target, err := files.Readlink(at); err == nil {
		names = append(names, path.Join(path.Dir(at), path.Base(target)))
	}
	for _, name := range names {
		config := configOf(name)
		if found, err := files.Exists(config); err != nil {
			return h, err
		} else if !found {
			continue
		}
		b, err := files.ReadFile(config)
		if err != nil {
			return h, err
		}
		h.Version, h.HasTmem = parseXenConfig(b)
		h.Evidence = config
		return h, nil
	}
	h.Evidence = "there is no " + configOf(at)
	return h, nil
}

// configOf is where a hypervisor's configuration lies: /boot/xen-4.17-amd64.gz
// and .efi have /boot/xen-4.17-amd64.config (xen/Makefile, 4.7 and later).
func configOf(image string) string {
	for _, ext := range []string{".gz", ".efi", ".xz", ".zst"} {
		image = strings.TrimSuffix(image, ext)
	}
	return image + ".config"
}

// parseXenConfig reads a hypervisor's .config. A release that has CONFIG_TMEM
// and does not name it was built without it: Kconfig writes no line for a
// symbol whose conditions fail.
//
//	#
//	# Automatically generated file; DO NOT EDIT.
//	# Xen/x86 4.17.7 Configuration
//	#
//	CONFIG_CC_IS_GCC=y
//	# CONFIG_TMEM is not set
//
// (Debian 12's xen-4.17-amd64.config, and a line of 4.12's.)
func parseXenConfig(b []byte) (xen.Version, opt.Value[bool]) {
	var v xen.Version
	has := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# Xen/"); ok && !v.Known() {
			if words := strings.Fields(rest); len(words) == 3 && words[2] == "Configuration" {
				v, _ = xen.ParseVersion(words[1])
			}
		}
		if line == "CONFIG_TMEM=y" {
			has = true
		}
	}
	if !v.Known() {
		// Without its head line nothing says of what release the file is, but
		// no other one knows the symbol.
		if has {
			return v, opt.Of(true)
		}
		return v, opt.Value[bool]{}
	}
	return v, opt.Of(has && tmem.For(v).Exists)
}

// nameVersion is the release that an image's name claims: 4.11 of
// xen-4.11-amd64.gz. It proves nothing.
func nameVersion(image string) xen.Version {
	rest, ok := strings.CutPrefix(path.Base(image), "xen-")
	if !ok {
		return xen.Version{}
	}
	v, err := xen.ParseVersion(rest)
	if err != nil {
		return xen.Version{}
	}
	v.Extra = ""
	return v
}

// same tells whether an image may well be the running hypervisor.
func same(image string, v xen.Version) bool {
	n := nameVersion(image)
	return n.Known() && n.Major == v.Major && n.Minor == v.Minor
}

// maxChangelog bounds an unpacked changelog.
const maxChangelog = 4 << 20

// xsa15InChangelog looks in the changelog of the hypervisor's package for the
// repair of XSA-15, which distributions brought to releases without it. It is
// the file, or "".
func xsa15InChangelog(files hostfs.Files) (string, error) {
	const docs = "/usr/share/doc"
	if found, err := files.Exists(docs); err != nil || !found {
		return "", err
	}
	packages, err := files.ReadDir(docs)
	if err != nil {
		return "", err
	}
	for _, p := range packages {
		if !strings.HasPrefix(p, "xen-hypervisor-4.") {
			continue
		}
		file := path.Join(docs, p, "changelog.Debian.gz")
		if found, err := files.Exists(file); err != nil || !found {
			continue
		}
		b, err := files.ReadFile(file)
		if err != nil {
			return "", err
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
		text, err := io.ReadAll(io.LimitReader(z, maxChangelog))
		if err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
		if bytes.Contains(text, []byte("CVE-2012-3497")) || bytes.Contains(text, []byte("XSA-15:")) {
			return file, nil
		}
	}
	return "", nil
}

// HasHypervisor tells whether an image of Xen lies in /boot, as a machine has
// that is a host or is to be one.
func HasHypervisor(files hostfs.Files) (bool, error) {
	names, err := files.ReadDir("/boot")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(names, func(n string) bool {
		return strings.HasPrefix(n, "xen") && (strings.HasSuffix(n, ".gz") || strings.HasSuffix(n, ".efi"))
	}), err
}
