package capture

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// packed tells whether a path asks for one file.
func packed(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// Refuse says before the work begins why Write would not write to a path: it
// exists, or its folder does not.
func Refuse(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("write capture %s: %w: choose another name or remove it", name, fs.ErrExist)
	}
	dir := filepath.Dir(name)
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("write capture %s: %w", name, err)
	} else if !info.IsDir() {
		return fmt.Errorf("write capture %s: %s is not a folder", name, dir)
	}
	return nil
}

// Write writes the capture as one packed file where the path ends in .tar.gz or
// .tgz, else as a folder. The path must not exist. Whatever interrupts it, the
// path holds a whole capture or nothing; leftovers are called .NAME.partial-….
// Only the owner may read what is written.
func (c *Capture) Write(name string) error {
	if err := Refuse(name); err != nil {
		return err
	}
	e, err := c.encode()
	if err != nil {
		return fmt.Errorf("write capture %s: %w", name, err)
	}
	name = filepath.Clean(name)
	if packed(name) {
		err = c.writeFile(name, e)
	} else {
		err = writeDir(name, e)
	}
	if err != nil {
		return fmt.Errorf("write capture %s: %w", name, err)
	}
	return nil
}

// partial is the name pattern of an unfinished capture.
func partial(name string) string { return "." + filepath.Base(name) + ".partial-*" }

func writeDir(name string, e entries) error {
	tmp, err := os.MkdirTemp(filepath.Dir(name), partial(name))
	if err != nil {
		return err
	}
	if err = fillDir(tmp, e); err == nil {
		err = publish(tmp, name)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

// fillDir writes all files before it syncs the first: so one commit of the
// file system's journal serves them all.
func fillDir(dir string, e entries) error {
	written := []string{dir}
	folders := map[string]bool{dir: true}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, e[name], 0o600); err != nil {
			return err
		}
		written = append(written, file)
		for d := filepath.Dir(file); !folders[d]; d = filepath.Dir(d) {
			folders[d] = true
			written = append(written, d)
		}
	}
	for _, path := range written {
		if err := syncPath(path); err != nil {
			return err
		}
	}
	return nil
}

func (c *Capture) writeFile(name string, e entries) error {
	f, err := os.CreateTemp(filepath.Dir(name), partial(name))
	if err != nil {
		return err
	}
	err = c.pack(f, filepath.Base(name), e)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = publish(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// pack writes the entries below a folder of the file's own name, so that
// unpacking by hand leaves one folder. The same capture gives the same bytes.
func (c *Capture) pack(w io.Writer, base string, e entries) error {
	folder := strings.TrimSuffix(strings.TrimSuffix(base, ".gz"), ".tar")
	folder = strings.TrimSuffix(folder, ".tgz")
	if !fs.ValidPath(folder) || folder == "." {
		folder = "capture"
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(e)) {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: folder + "/" + name, Size: int64(len(e[name])),
			Mode: 0o600, ModTime: c.Meta.End.Truncate(1e9),
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e[name]); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// publish gives a finished capture its name, and never takes the name from
// something that came meanwhile.
func publish(tmp, name string) error {
	err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE)
	// Linux before 3.15 and some file systems have no such rename.
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		if err := Refuse(name); err != nil {
			return err
		}
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(name))
}

// syncPath brings a file or a folder to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
