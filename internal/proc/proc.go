// Package proc opens /proc of a machine for prometheus/procfs, which reads below
// a folder of the real file system only, where xtm reads through hostfs.Files.
package proc

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/procfs"

	"xtm/internal/hostfs"
)

// Open returns the machine's /proc, and how to close it again. On the running
// machine that is /proc itself. Anything else, such as a capture, a recorder or
// another root (whose links must not lead out of it), is read through files: the
// named files of /proc ("meminfo") are laid out in a temporary folder. Failing to
// read one of them, absent or not, is the error of files.
func Open(files hostfs.Files, names ...string) (procfs.FS, func() error, error) {
	if root, ok := files.(hostfs.Root); ok && root.IsHost() {
		fsys, err := procfs.NewFS("/proc")
		return fsys, func() error { return nil }, err
	}
	dir, err := os.MkdirTemp("", "xtm-proc-")
	if err != nil {
		return procfs.FS{}, nil, fmt.Errorf("lay out /proc: %w", err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	fsys, err := layOut(files, dir, names)
	if err != nil {
		_ = remove() // the first error is the one to tell
		return procfs.FS{}, nil, err
	}
	return fsys, remove, nil
}

func layOut(files hostfs.Files, dir string, names []string) (procfs.FS, error) {
	for _, name := range names {
		b, err := files.ReadFile("/proc/" + name)
		if err != nil {
			return procfs.FS{}, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return procfs.FS{}, fmt.Errorf("lay out /proc: %w", err)
		}
	}
	return procfs.NewFS(dir)
}
