package importtest

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// file is a file or the error of reading it.
type file struct {
	data []byte
	err  error
}

// files are a hostfs.Files of the files that a recording holds.
type files map[string]file

func (f files) ReadFile(p string) ([]byte, error) {
	if x, ok := f[p]; ok {
		return x.data, x.err
	}
	return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.ENOENT}
}

func (f files) ReadDir(p string) ([]string, error) {
	names := map[string]bool{}
	for name := range f {
		if rest, ok := strings.CutPrefix(name, path.Clean(p)+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.ENOENT}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (f files) Readlink(p string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: p, Err: syscall.EINVAL}
}

func (f files) Exists(p string) (bool, error) {
	if _, ok := f[p]; ok {
		return true, nil
	}
	_, err := f.ReadDir(p)
	return err == nil, nil
}
