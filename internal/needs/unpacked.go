package needs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Unpacked is a folder that holds the files of Debian packages, which are
// fetched and not installed: a daemon that is installed would start. It is kept
// in the user's cache for the next run.
func Unpacked(tb testing.TB, packages ...string) string {
	tb.Helper()
	root, err := unpack(packages)
	if err != nil {
		Unmet(tb, "%s could not be fetched: %v", strings.Join(packages, ", "), err)
	}
	return root
}

func unpack(packages []string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "xtm-test", strings.Join(packages, "+"))
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(root), "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // nothing is left of it when all went well
	debs := filepath.Join(tmp, "debs")
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return "", err
	}
	download := append([]string{"-o", "APT::Sandbox::User=root", "download", "-q"}, packages...)
	if err := command(debs, "apt-get", download...); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if err := command(debs, "dpkg-deb", "-x", f, filepath.Join(tmp, "root")); err != nil {
			return "", err
		}
	}
	err = os.Rename(filepath.Join(tmp, "root"), root)
	if _, there := os.Stat(root); there == nil {
		return root, nil // another test was quicker
	}
	return root, err
}

func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", c, err, bytes.TrimSpace(out))
	}
	return nil
}
