package capture

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Open reads a capture, a folder or a .tar.gz, whole into memory. It wraps
// ErrNotCapture where the path holds something else, and names the entry where
// a capture is damaged, hostile or too large.
func Open(name string) (*Capture, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var c *Capture
	if info.IsDir() {
		c, err = openDir(name)
	} else {
		c, err = openFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("open capture %s: %w", name, err)
	}
	return c, nil
}

// openDir reads a folder through an os.Root: no link leads out of it.
func openDir(name string) (*Capture, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	c, err := OpenFS(root.FS())
	return c, errors.Join(err, root.Close())
}

// OpenFS reads a capture from a file system, such as an embedded one.
func OpenFS(fsys fs.FS) (*Capture, error) {
	// Any folder may be named by mistake: look before reading all of it.
	if _, err := fs.Stat(fsys, "meta.json"); err != nil {
		return nil, fmt.Errorf("meta.json is missing: %w", ErrNotCapture)
	}
	e := entries{}
	var total int64
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("entry %q: %s: only plain files and folders may be in a capture", name, d.Type())
		}
		f, err := fsys.Open(name)
		if err != nil {
			return err
		}
		b, err := readEntry(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("entry %q: %w", name, err)
		}
		total += int64(len(b))
		if err := e.tooMuch(name, int64(len(b)), total); err != nil {
			return err
		}
		e[name] = b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return decode(e)
}

// readEntry reads one byte more than is allowed, for tooMuch to see.
func readEntry(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxEntry+1)) }

func openFile(name string) (*Capture, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	c, err := readTarGz(f)
	return c, errors.Join(err, f.Close())
}

// readTarGz reads a packed capture.
func readTarGz(r io.Reader) (*Capture, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); string(magic) != "\x1f\x8b" {
		return nil, fmt.Errorf("neither a folder nor a .tar.gz: %w", ErrNotCapture)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	e, err := readTar(z)
	if err != nil {
		return nil, err
	}
	return decode(e)
}

// errTooLong ends the unpacking of a bomb.
var errTooLong = errors.New("unpacks to too much")

// readTar reads plain files with harmless names, each once, and refuses all
// else. A capture may lie in one folder, as tar czf makes it of a folder.
func readTar(r io.Reader) (entries, error) {
	// The headers count too: 512 bytes for each entry, and as much padding.
	limit := &io.LimitedReader{R: r, N: maxTotal + 2*512*maxEntries}
	t := tar.NewReader(limit)
	e := entries{}
	var total int64
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if limit.N <= 0 {
			err = errTooLong
		}
		if err != nil {
			return nil, fmt.Errorf("unpack, after %d entries: %w", len(e), err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		switch {
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag == tar.TypeDir:
			if n := strings.TrimSuffix(name, "/"); n != "" && !fs.ValidPath(n) {
				return nil, fmt.Errorf("entry %q: the name leads out of the capture", h.Name)
			}
			continue
		case !fs.ValidPath(name):
			return nil, fmt.Errorf("entry %q: the name leads out of the capture", h.Name)
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("entry %q: type %q: only plain files and folders may be in a capture", name, h.Typeflag)
		}
		if sparse(h) {
			return nil, fmt.Errorf("entry %q: a sparse file, which nothing in a capture is", name)
		}
		if _, twice := e[name]; twice {
			return nil, fmt.Errorf("entry %q stands twice", name)
		}
		b, err := readEntry(t)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", name, err)
		}
		total += int64(len(b))
		if err := e.tooMuch(name, int64(len(b)), total); err != nil {
			return nil, err
		}
		e[name] = b
	}
	// What follows the archive's end must unpack too: the checksum stands last.
	if _, err := io.Copy(io.Discard, limit); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if limit.N <= 0 {
		return nil, fmt.Errorf("unpack, after %d entries: %w", len(e), errTooLong)
	}
	return withoutFolder(e)
}

// sparse tells whether an entry unpacks to more than is in the archive.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// withoutFolder strips the one folder that a capture may lie in.
func withoutFolder(e entries) (entries, error) {
	if _, ok := e["meta.json"]; ok {
		return e, nil
	}
	folder := ""
	for name := range e {
		if dir, file := path.Split(name); file == "meta.json" && strings.Count(dir, "/") == 1 {
			folder = dir
		}
	}
	if folder == "" {
		return nil, fmt.Errorf("meta.json is missing: %w", ErrNotCapture)
	}
	inner := make(entries, len(e))
	for name, b := range e {
		short, ok := strings.CutPrefix(name, folder)
		if !ok {
			return nil, fmt.Errorf("entry %q lies beside the folder %q", name, folder)
		}
		inner[short] = b
	}
	return inner, nil
}
