package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed dom0 scenarios
var assets embed.FS

// baseVersion rises when the same packages have to give another image.
const baseVersion = "2"

// base is what is made once of Debian's packages and reused while they stay
// the same.
type base struct {
	root, xen, kernel, busybox string
	dom0Modules, guestModules  []string
}

// buildBase downloads and unpacks, unless the cache has it already.
func buildBase(ctx context.Context, cache string, say func(string, ...any)) (base, error) {
	archives := filepath.Join(cache, "debs")
	debs, err := listDebs(ctx, archives)
	if err != nil {
		return base{}, err
	}
	key := sha256.Sum256(fmt.Append(nil, baseVersion, dropped, moduleDirs, debs))
	dir := filepath.Join(cache, fmt.Sprintf("base-%x", key[:8]))
	if _, err := os.Stat(dir); err == nil {
		return openBase(dir)
	}
	say("downloading %d packages", len(debs))
	if err := download(ctx, archives); err != nil {
		return base{}, err
	}
	say("unpacking")
	work := dir + ".new"
	if err := os.RemoveAll(work); err != nil {
		return base{}, err
	}
	tree := filepath.Join(work, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return base{}, err
	}
	for _, d := range debs {
		if err := unpack(ctx, filepath.Join(archives, d.file), tree); err != nil {
			return base{}, err
		}
	}
	if err := fillBase(ctx, tree, work); err != nil {
		return base{}, err
	}
	if err := os.RemoveAll(tree); err != nil {
		return base{}, err
	}
	if _, err := openBase(work); err != nil {
		return base{}, err
	}
	if err := os.Rename(work, dir); err != nil {
		return base{}, err
	}
	return openBase(dir)
}

func openBase(dir string) (base, error) {
	b := base{
		root: filepath.Join(dir, "root.img"), xen: filepath.Join(dir, "xen"),
		kernel: filepath.Join(dir, "vmlinux"), busybox: filepath.Join(dir, "busybox"),
	}
	mods, err := findModules(filepath.Join(dir, "modules"))
	if err != nil {
		return base{}, err
	}
	if b.guestModules, err = mods.closure(guestDrivers...); err != nil {
		return base{}, err
	}
	b.dom0Modules, err = mods.closure("crc32c_generic", "ext4", "ahci", "sd_mod", "loop",
		"xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-blkback")
	return b, err
}

// fillBase makes the files of a base of the unpacked tree.
func fillBase(ctx context.Context, tree, dir string) error {
	one := func(pattern string) (string, error) {
		m, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil || len(m) != 1 {
			return "", fmt.Errorf("look for %s in the packages: found %d", pattern, len(m))
		}
		return m[0], nil
	}
	kernel, err := one("boot/vmlinuz-*")
	if err != nil {
		return err
	}
	if err := writeKernel(kernel, filepath.Join(dir, "vmlinux")); err != nil {
		return err
	}
	xen, err := one("boot/xen-*-amd64.gz")
	if err != nil {
		return err
	}
	if err := writeXen(xen, filepath.Join(dir, "xen")); err != nil {
		return err
	}
	mods, err := one("lib/modules/*")
	if err != nil {
		return err
	}
	// The root keeps them too: modprobe looks there.
	if err := os.CopyFS(filepath.Join(dir, "modules"), os.DirFS(mods)); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(tree, "bin/busybox"), filepath.Join(dir, "busybox"), 0o755); err != nil {
		return err
	}
	if err := furnish(tree); err != nil {
		return err
	}
	return makeExt4(ctx, tree, filepath.Join(dir, "root.img"), "1G")
}

// furnish adds what Debian's base packages and their scripts would have made.
func furnish(tree string) error {
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "lab", "root", "var/lab", "var/log/xen/console", "usr/local/bin", "var/lib/xen", "var/lib/xenstored"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"bin/sh": "dash", "var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "/proc/self/mounts"} {
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd":      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
		"etc/group":       "root:x:0:\nlibvirt:x:100:\nnogroup:x:65534:\n",
		"etc/hosts":       "127.0.0.1 localhost lab\n",
		"etc/hostname":    "lab\n",
		"etc/xen/xl.conf": "autoballoon=\"off\"\n",
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// machine is one run's files.
type machine struct {
	xen, kernel, initrd    string
	root, payload, results string
}

// orders are what Dom0 is told, as payload/orders.json.
type orders struct {
	Match   string `json:"match"`
	Nightly bool   `json:"nightly"`
	Shell   bool   `json:"shell"`
	Slow    int    `json:"slow"`
}

// buildMachine makes the images that change with every run: the disk with xtm,
// scenarios, guests and other tools, and Dom0's initramfs.
func buildMachine(ctx context.Context, c config, b base) (machine, error) {
	dir := filepath.Join(c.cache, "run")
	if err := os.RemoveAll(dir); err != nil {
		return machine{}, err
	}
	m := machine{
		xen: b.xen, kernel: b.kernel, root: b.root,
		initrd:  filepath.Join(dir, "initrd"),
		payload: filepath.Join(dir, "payload.img"),
		results: filepath.Join(dir, "results.img"),
	}
	tree := filepath.Join(dir, "payload")
	if err := os.MkdirAll(filepath.Join(tree, "guest"), 0o755); err != nil {
		return machine{}, err
	}
	if err := os.CopyFS(tree, assets); err != nil {
		return machine{}, err
	}
	// Embedded files have lost their permissions.
	for _, f := range []string{"rc", "block"} {
		if err := os.Chmod(filepath.Join(tree, "dom0", f), 0o755); err != nil {
			return machine{}, err
		}
	}
	if err := errors.Join(
		c.placeXTM(ctx, filepath.Join(tree, "xtm")),
		goBuild(ctx, filepath.Join(tree, "lab"), "./lab"),
		goTestBuild(ctx, filepath.Join(tree, "live"), liveTests...),
		c.placeGuests(b, filepath.Join(tree, "guest")),
		c.placeTools(filepath.Join(tree, "tools")),
		writeJSON(filepath.Join(tree, "orders.json"), orders{c.match.String(), c.nightly, c.shell != "", c.slow}),
	); err != nil {
		return machine{}, err
	}
	if err := makeExt4(ctx, tree, m.payload, "256M"); err != nil {
		return machine{}, err
	}
	if c.xen != "" {
		m.xen = filepath.Join(dir, "xen")
		if err := writeXen(c.xen, m.xen); err != nil {
			return machine{}, err
		}
	}
	modules := b.dom0Modules
	if c.kernel != "" {
		var err error
		m.kernel = filepath.Join(dir, "vmlinux")
		if err = writeKernel(c.kernel, m.kernel); err != nil {
			return machine{}, err
		}
		if modules, err = besideKernel(c.kernel); err != nil {
			return machine{}, err
		}
	}
	ram, err := initramfs(b.busybox, mustRead(assets, "dom0/init"), modules)
	if err != nil {
		return machine{}, err
	}
	if err := os.WriteFile(m.initrd, ram, 0o644); err != nil {
		return machine{}, err
	}
	return m, nil
}

func (c config) placeXTM(ctx context.Context, dst string) error {
	if c.xtm != "" {
		return copyFile(c.xtm, dst, 0o755)
	}
	return goBuild(ctx, dst, ".")
}

func (c config) placeGuests(b base, dir string) error {
	kernel, modules := b.kernel, b.guestModules
	files := map[string]string{}
	switch {
	case strings.HasSuffix(c.guestKernel, ".deb"):
		p, err := openKernelPackage(c.guestKernel, filepath.Join(filepath.Dir(filepath.Dir(dir)), "guest-kernel"))
		if err != nil {
			return err
		}
		kernel, modules = p.kernel, p.modules
		files["release"] = p.release + "\n"
	case c.guestKernel != "":
		var err error
		kernel = c.guestKernel
		if modules, err = besideKernel(kernel); err != nil {
			return err
		}
	}
	if err := writeKernel(kernel, filepath.Join(dir, "vmlinux")); err != nil {
		return err
	}
	ram, err := initramfs(b.busybox, mustRead(assets, "dom0/guest-init"), modules)
	if err != nil {
		return err
	}
	files["initrd"] = string(ram)
	per, loops := disks()
	for _, g := range guests {
		files[g.name+".cfg"] = g.xlConfig(per[g.name])
		if g.libvirt {
			files[g.name+".xml"] = g.libvirtXML(per[g.name])
		}
	}
	for _, l := range loops {
		files["loops"] += fmt.Sprintf("%s %s %d %t\n", l.dev, l.file, l.mib, l.ext4)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// placeTools copies the tree that Dom0 lays over its root.
func (c config) placeTools(dst string) error {
	if c.tools == "" {
		return nil
	}
	_, err := output(exec.Command("cp", "-a", c.tools, dst))
	return err
}

// liveTests are the packages with tests that need a real Xen.
var liveTests = []string{"./lab/live", "./xen/hypercall", "./xen/libvirt", "./xen/xenstore"}

// goTestBuild builds those as DIR/NAME.test.
func goTestBuild(ctx context.Context, dir string, pkgs ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return goRun(ctx, append([]string{"test", "-c", "-trimpath", "-tags", "xen", "-o", dir + "/"}, pkgs...)...)
}

// goBuild builds a command of this checkout.
func goBuild(ctx context.Context, dst, pkg string) error {
	return goRun(ctx, "build", "-trimpath", "-o", dst, pkg)
}

// goRun runs the go command at the top of this checkout; what it builds is
// static.
func goRun(ctx context.Context, arg ...string) error {
	mod, err := output(exec.CommandContext(ctx, "go", "env", "GOMOD"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", arg...)
	cmd.Dir = filepath.Dir(strings.TrimSpace(mod))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err = output(cmd)
	return err
}

// writeXen puts a hypervisor where QEMU's multiboot loader takes it: an ELF
// file, not compressed.
func writeXen(src, dst string) error {
	text, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	if text, err = gunzip(text); err != nil {
		return fmt.Errorf("%s: %w", src, err)
	}
	return os.WriteFile(dst, text, 0o644)
}

// makeExt4 makes an image of a directory; mke2fs needs no mount and no root.
func makeExt4(ctx context.Context, tree, image, size string) error {
	mke2fs, err := lookPath("mke2fs")
	if err != nil {
		return err
	}
	_, err = output(exec.CommandContext(ctx, mke2fs, "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", tree, image, size))
	return err
}

func copyFile(src, dst string, mode fs.FileMode) error {
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, b, mode)
}

func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// mustRead reads an embedded file that is known to be there.
func mustRead(f fs.ReadFileFS, name string) []byte {
	b, err := f.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return b
}
