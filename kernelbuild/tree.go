package kernelbuild

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/kernelbuild/kconfig"
)

// Tree is what a kernel's source tree is and can do.
type Tree struct {
	// Version is the kernel's own, "6.1.176".
	Version string `json:"version"`
	// Bindeb tells that "make bindeb-pkg" exists. Where it does not, deb-pkg does
	// the same.
	Bindeb bool `json:"bindeb_pkg"`
	// Debhelper tells that packing needs debhelper, as from about 6.3 on.
	Debhelper bool `json:"debhelper"`
	// GCCMinimum is the oldest compiler that the tree takes, "" if it does not say.
	GCCMinimum string `json:"gcc_minimum,omitempty"`
	// GCCHeaders are the majors of gcc that an old tree has a header for, by
	// include/linux/compiler-gccN.h; empty in newer trees, which take any.
	GCCHeaders []int `json:"gcc_headers,omitempty"`
	// DefinedTwice tells that kernels with RANDOMIZE_BASE define a variable in two
	// files, which compilers up to gcc 9 merged: 4.19.72 does, 6.1 does not.
	DefinedTwice bool `json:"defined_twice,omitempty"`
	// Kconfig is what can be built.
	Kconfig *kconfig.Tree `json:"-"`
}

// ReadTree reads the tree at the root of files. An error wraps cause.ErrNoData
// where that is no kernel tree.
func ReadTree(files hostfs.Files) (*Tree, error) {
	b, err := files.ReadFile("/Makefile")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read kernel tree: no Makefile: %w", cause.ErrNoData)
	} else if err != nil {
		return nil, fmt.Errorf("read kernel tree: %w", err)
	}
	t := &Tree{}
	if t.Version, err = parseMakefile(b); err != nil {
		return nil, fmt.Errorf("read kernel tree: Makefile: %w", err)
	}
	for _, name := range []string{"/scripts/Makefile.package", "/scripts/package/Makefile", "/scripts/package/mkdebian"} {
		b, err := files.ReadFile(name)
		if err != nil {
			continue // each tree has some of them
		}
		t.Bindeb = t.Bindeb || bytes.Contains(b, []byte("bindeb-pkg"))
		t.Debhelper = t.Debhelper || bytes.Contains(b, []byte("debhelper"))
	}
	if b, err := files.ReadFile("/scripts/min-tool-version.sh"); err == nil {
		t.GCCMinimum = parseMinimum(b)
	}
	// unsigned long __force_order; is in pgtable_64.c, too
	if b, err := files.ReadFile("/" + kaslrFile); err == nil {
		t.DefinedTwice = bytes.Contains(b, []byte("\nunsigned long __force_order;"))
	}
	names, err := files.ReadDir("/include/linux")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read kernel tree: %w", err)
	}
	for _, n := range names {
		if m := gccHeader.FindStringSubmatch(n); m != nil {
			major, _ := strconv.Atoi(m[1]) // the expression admits digits only
			t.GCCHeaders = append(t.GCCHeaders, major)
		}
	}
	if t.Kconfig, err = kconfig.Scan(files, kconfig.X86()); err != nil {
		return nil, fmt.Errorf("read kernel tree: %w", err)
	}
	return t, nil
}

const kaslrFile = "arch/x86/boot/compressed/kaslr_64.c"

var gccHeader = regexp.MustCompile(`^compiler-gcc([0-9]{1,3})\.h$`)

// parseMakefile reads the version at the head of the tree's Makefile.
//
// Linux 6.1.176:
//
//	# SPDX-License-Identifier: GPL-2.0
//	VERSION = 6
//	PATCHLEVEL = 1
//	SUBLEVEL = 176
//	EXTRAVERSION =
func parseMakefile(b []byte) (string, error) {
	part := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(b[:min(len(b), 4096)]))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if name = strings.TrimSpace(name); ok && part[name] == "" {
			part[name] = strings.TrimSpace(value)
		}
	}
	if part["VERSION"] == "" || part["PATCHLEVEL"] == "" {
		return "", fmt.Errorf("no VERSION and PATCHLEVEL: %w", cause.ErrNoData)
	}
	v := part["VERSION"] + "." + part["PATCHLEVEL"]
	if part["SUBLEVEL"] != "" {
		v += "." + part["SUBLEVEL"]
	}
	v += part["EXTRAVERSION"]
	if !releaseForm.MatchString(v) {
		return "", fmt.Errorf("version %q: %w", v, ErrName)
	}
	return v, nil
}

// parseMinimum reads the oldest gcc from scripts/min-tool-version.sh.
//
// Linux 7.2:
//
//	case "$1" in
//	gcc)
//		if [ "$ARCH" = parisc64 ]; then
//			echo 12.0.0
//		else
//			echo 8.1.0
//		fi
//		;;
func parseMinimum(b []byte) string {
	_, block, ok := bytes.Cut(b, []byte("\ngcc)"))
	block, _, closed := bytes.Cut(block, []byte(";;"))
	if !ok || !closed {
		return ""
	}
	last := ""
	for _, m := range echoed.FindAllSubmatch(block, -1) {
		last = string(m[1]) // exceptions for other architectures come first
	}
	return last
}

var echoed = regexp.MustCompile(`echo ([0-9]+(?:\.[0-9]+)*)`)
