package periodic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/hostfs"

	"golang.org/x/sys/unix"
)

// prefix begins the names of the reports that are kept:
// xtm-report-20261122T133522Z.txt and .json.
const (
	prefix    = "xtm-report-"
	timestamp = "20060102T150405Z"
)

// Keep writes a report of this time, text and JSON, into a folder and removes
// the oldest so that at most n are there. Other files stay. The folder must be
// one that only root can write to, because names in it are foreseeable.
func Keep(root hostfs.Root, dir string, at time.Time, n int, text, data []byte) error {
	if err := trusted(root, dir); err != nil {
		return err
	}
	name := path.Join(dir, prefix+at.UTC().Format(timestamp))
	for _, f := range []struct {
		end  string
		data []byte
	}{{".txt", text}, {".json", data}} {
		if err := atomicfile.Replace(root, name+f.end, f.data, 0o640); err != nil {
			return err
		}
	}
	names, err := root.ReadDir(dir)
	if err != nil {
		return err
	}
	kept := stamps(names)
	for _, stamp := range kept[:max(0, len(kept)-n)] {
		for _, end := range []string{".txt", ".json"} {
			at, err := nameIn(root, path.Join(dir, prefix+stamp+end))
			if err != nil {
				return err
			}
			if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove %s: %w", path.Join(dir, prefix+stamp+end), errors.Unwrap(err))
			}
		}
	}
	return nil
}

// stamps are the times of the reports among these names, the oldest first.
func stamps(names []string) []string {
	var out []string
	for _, name := range names {
		stamp, ok := strings.CutPrefix(strings.TrimSuffix(strings.TrimSuffix(name, ".txt"), ".json"), prefix)
		if _, err := time.Parse(timestamp, stamp); ok && err == nil && stamp+path.Ext(name) == strings.TrimPrefix(name, prefix) {
			out = append(out, stamp)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trusted refuses a folder in which somebody else could plant a link.
func trusted(root hostfs.Root, dir string) error {
	at, err := root.Path(dir)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(at, &st); err != nil {
		return &fs.PathError{Op: "keep reports in", Path: dir, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return &fs.PathError{Op: "keep reports in", Path: dir, Err: unix.ENOTDIR}
	case int(st.Uid) != os.Geteuid() && st.Uid != 0, st.Mode&0o022 != 0:
		return fmt.Errorf("keep reports in %s: others than root can write there (chown root %s; chmod go-w %s)", dir, dir, dir)
	}
	return nil
}
