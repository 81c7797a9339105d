package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// unwrapKernel returns the ELF file inside a bzImage, or the input where it is
// none or compressed in another way. Xen would unpack it too, but emulated
// that takes longer than all the rest of the boot.
func unwrapKernel(image []byte) ([]byte, error) {
	payload, ok := bzImagePayload(image)
	if !ok {
		return image, nil
	}
	var cmd *exec.Cmd
	switch {
	case bytes.HasPrefix(payload, gzipMagic):
		return gunzip(payload)
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		cmd = exec.Command("xz", "-dc", "--single-stream")
	default:
		return image, nil
	}
	cmd.Stdin = bytes.NewReader(payload)
	out, err := output(cmd)
	if err != nil {
		return nil, fmt.Errorf("unpack kernel: %w", err)
	}
	return []byte(out), nil
}

// bzImagePayload finds the compressed kernel by the boot header (Linux
// Documentation/x86/boot.rst, protocol 2.08): its offset counts from the end of
// the setup sectors. All but gzip are followed by 4 bytes that are not theirs.
func bzImagePayload(image []byte) ([]byte, bool) {
	const setupSects, magic, version, payloadOffset, payloadLength = 0x1f1, 0x202, 0x206, 0x248, 0x24c
	if len(image) < 0x250 || string(image[magic:magic+4]) != "HdrS" ||
		binary.LittleEndian.Uint16(image[version:]) < 0x208 {
		return nil, false
	}
	setup := (uint64(image[setupSects]) + 1) * 512
	from := setup + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	n := uint64(binary.LittleEndian.Uint32(image[payloadLength:]))
	if from+n > uint64(len(image)) {
		return nil, false
	}
	return image[from : from+n], true
}

// modules are kernel modules by name, with - written as _.
type modules map[string]string

func findModules(dir string) (modules, error) {
	m := modules{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			m[moduleName(strings.TrimSuffix(d.Name(), ".ko"))] = path
		}
		return err
	})
	return m, err
}

func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// closure is the files of the named modules and all they depend on, in the
// order in which insmod takes them.
func (m modules) closure(names ...string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	var add func(name, by string) error
	add = func(name, by string) error {
		name = moduleName(name)
		if seen[name] {
			return nil
		}
		seen[name] = true
		file, ok := m[name]
		if !ok {
			return fmt.Errorf("kernel module %s, needed by %s: not there", name, by)
		}
		info, err := modinfo(file)
		if err != nil {
			return err
		}
		for _, dep := range moduleDeps(info) {
			if err := add(dep, name); err != nil {
				return err
			}
		}
		files = append(files, file)
		return nil
	}
	for _, n := range names {
		if err := add(n, "the lab"); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func modinfo(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", filepath.Base(file), err)
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("read module %s: no .modinfo", filepath.Base(file))
	}
	return s.Data()
}

// moduleDeps reads a .modinfo section: NUL-separated key=value, of which
// "depends=jbd2,mbcache" counts. What is named as "softdep=pre: crc32c" may be
// an alias; the lab names those modules itself.
func moduleDeps(info []byte) []string {
	for kv := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(kv, "depends="); ok && list != "" {
			return strings.Split(list, ",")
		}
	}
	return nil
}

// besideKernel is the directory FILE.modules, the place for the modules of a
// kernel that the lab was given. Absent means that none are needed.
func besideKernel(kernel string) ([]string, error) {
	files, err := filepath.Glob(kernel + ".modules/*.ko")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	return files, nil
}

// writeKernel puts a kernel unpacked at dst.
func writeKernel(src, dst string) error {
	image, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	if image, err = unwrapKernel(image); err != nil {
		return fmt.Errorf("%s: %w", src, err)
	}
	return os.WriteFile(dst, image, 0o644)
}

var gzipMagic = []byte{0x1f, 0x8b}

// gunzip returns data unpacked, or as it is where it is not gzip. It ends with
// the first member.
func gunzip(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, gzipMagic) {
		return data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack gzip: %w", err)
	}
	z.Multistream(false)
	out, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpack gzip: %w", err)
	}
	return out, nil
}
