package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// cpio is an initramfs in the making, in the format "newc" that Linux reads
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	buf bytes.Buffer
	ino int
}

const (
	modeDir  = 0o040755
	modeProg = 0o100755
	modeLink = 0o120777
	modeChar = 0o020600
)

func (c *cpio) entry(name string, mode, major, minor int, data []byte) {
	c.ino++
	nlink := 1
	fmt.Fprintf(&c.buf, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.ino, mode, 0, 0, nlink, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	c.buf.WriteString(name)
	c.buf.WriteByte(0)
	c.pad()
	c.buf.Write(data)
	c.pad()
}

func (c *cpio) pad() {
	for c.buf.Len()%4 != 0 {
		c.buf.WriteByte(0)
	}
}

func (c *cpio) file(name string, data []byte) { c.entry(name, modeProg, 0, 0, data) }

func (c *cpio) bytes() []byte {
	c.entry("TRAILER!!!", 0, 0, 0, nil)
	return c.buf.Bytes()
}

// initramfs is busybox, an init and modules, which init loads in the order of
// their file names.
func initramfs(busybox string, initScript []byte, modules []string) ([]byte, error) {
	var c cpio
	for _, d := range []string{"bin", "dev", "proc", "sys", "mnt", "modules"} {
		c.entry(d, modeDir, 0, 0, nil)
	}
	c.entry("dev/console", modeChar, 5, 1, nil)
	bb, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	c.file("bin/busybox", bb)
	c.entry("bin/sh", modeLink, 0, 0, []byte("busybox"))
	c.file("init", initScript)
	for i, m := range modules {
		ko, err := os.ReadFile(m)
		if err != nil {
			return nil, err
		}
		c.file(fmt.Sprintf("modules/%02d-%s", i, filepath.Base(m)), ko)
	}
	return c.bytes(), nil
}
