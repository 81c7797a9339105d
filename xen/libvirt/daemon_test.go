package libvirt_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"xtm/internal/needs"
)

// packages are what a libvirtd with its test driver needs beside a plain Debian.
// They are unpacked, never installed: an installed libvirtd would start.
var packages = []string{"libvirt-daemon", "libvirt0", "libssh-4"}

// daemon is a libvirtd of the test's own, with no driver but the test driver.
type daemon struct {
	socket string
	cmd    *exec.Cmd
	log    *bytes.Buffer
	gone   chan struct{}
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	root := needs.Unpacked(t, packages...)
	dir, err := os.MkdirTemp("", "xtm") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "libvirtd.conf")
	text := fmt.Sprintf("unix_sock_dir = %q\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\nlisten_tls = 0\nlog_outputs = \"3:stderr\"\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{socket: filepath.Join(dir, "libvirt-sock"), log: &bytes.Buffer{}, gone: make(chan struct{})}
	d.cmd = exec.Command(filepath.Join(root, "usr/sbin/libvirtd"), "-f", conf, "-p", filepath.Join(dir, "pid"))
	d.cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_CACHE_HOME=" + dir,
		"LD_LIBRARY_PATH=" + filepath.Join(root, "usr/lib/x86_64-linux-gnu"), "LIBVIRT_DRIVER_DIR=" + dir,
	}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait() // it is killed
		close(d.gone)
	}()
	t.Cleanup(d.kill)
	for range 200 {
		if c, err := net.Dial("unix", d.socket); err == nil {
			c.Close()
			return d
		}
		select {
		case <-d.gone:
			needs.Unmet(t, "libvirtd does not run here: %s", d.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	d.kill()
	t.Fatalf("libvirtd made no socket within 10 s: %s", d.log)
	return nil
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	<-d.gone
}

func (d *daemon) dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", d.socket)
}
