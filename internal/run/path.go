package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"xtm/internal/cause"
)

// adminPath is where xl, xentop and update-grub live. Cron and some sudoers
// files leave it out of PATH.
var adminPath = [...]string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// searchPath is the environment's PATH and adminPath. Relative entries are left
// out: a program of whoever owns the current folder is not run as root.
func searchPath(env []string) []string {
	value := "/usr/local/bin:/usr/bin:/bin"
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			value = v // the last one counts
		}
	}
	var dirs []string
	for _, dir := range append(filepath.SplitList(value), adminPath[:]...) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// find is the file of a program. exec.LookPath would search the PATH of xtm
// itself, whatever environment the program gets.
func find(name string, path []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	denied := ""
	for _, dir := range path {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		switch {
		case err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0:
			return file, nil
		case err == nil && info.Mode().IsRegular(), errors.Is(err, fs.ErrPermission):
			denied = file
		}
	}
	if denied != "" {
		return "", fmt.Errorf("%s may not be run: %w", denied, fs.ErrPermission)
	}
	return "", fmt.Errorf("not installed or not in PATH: %w", cause.ErrNoData)
}
