package libvirt_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// packages are what a libvirtd with its test driver needs beside a plain Debian.
// They are unpacked, never installed: an installed libvirtd would start.
var packages = []string{"libvirt-daemon", "libvirt0", "libssh-4"}

// unpacked is a folder with the packages in it.
var unpacked = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "xtm-test", "libvirt")
	if _, err := os.Stat(filepath.Join(root, "usr/sbin/libvirtd")); err == nil {
		return root, nil
	}
	tmp := root + ".partial"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	run := func(name string, args ...string) error {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir = tmp
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, bytes.TrimSpace(out))
		}
		return nil
	}
	if err := run("apt-get", append([]string{"download"}, packages...)...); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, d := range debs {
		if err := run("dpkg-deb", "-x", d, "."); err != nil {
			return "", err
		}
	}
	return root, os.Rename(tmp, root)
})

// daemon is a libvirtd of the test's own, with no driver but the test driver.
type daemon struct {
	socket string
	cmd    *exec.Cmd
	log    *bytes.Buffer
	gone   chan struct{}
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	root, err := unpacked()
	if err != nil {
		lacking(t, fmt.Sprintf("no libvirtd: %s could not be fetched: %v", strings.Join(packages, ", "), err))
	}
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
			lacking(t, fmt.Sprintf("libvirtd does not run here: %s", d.log))
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

// lacking ends a test that cannot run here.
func lacking(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("XTM_TEST_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
