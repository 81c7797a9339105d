package install

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/kernelbuild"
)

// Deb is a package file that the user named.
type Deb struct {
	Path    string                  `json:"path"`
	Name    string                  `json:"name"`
	Version string                  `json:"version"`
	Kind    kernelbuild.PackageKind `json:"kind"`
	// Unpacked is what its files take, by its own word; 0 is not said.
	Unpacked units.Bytes `json:"unpacked"`
	// InBoot are its files in /boot, sizes by name.
	InBoot map[string]units.Bytes `json:"-"`
}

// The names of the packages of a kernel build, before the release.
const (
	imagePrefix   = "linux-image-"
	headersPrefix = "linux-headers-"
)

// ReadDebs reads package files of the running machine and holds them against
// the record of their build, which lies beside the first of them; trust goes
// without one. A file that is not what the record says is a *cause.RefusalError.
func ReadDebs(ctx context.Context, start run.Func, paths []string, trust bool) ([]Deb, error) {
	var recorded []kernelbuild.Package
	if !trust {
		r, err := readRecord(paths)
		if err != nil {
			return nil, err
		}
		recorded = r.Packages
	}
	var out []Deb
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		d, err := readDeb(ctx, start, abs)
		if err != nil {
			return nil, err
		}
		if !trust {
			if err := d.hold(recorded); err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// readRecord finds the record beside the packages.
func readRecord(paths []string) (kernelbuild.Record, error) {
	abs, err := filepath.Abs(filepath.Join(filepath.Dir(paths[0]), kernelbuild.RecordName))
	if err != nil {
		return kernelbuild.Record{}, err
	}
	r, err := kernelbuild.ReadRecord(hostfs.Host, abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, &cause.RefusalError{
			Kind: cause.Unsaid, Seen: "there is no " + abs, Why: "nothing says what these packages should be",
			Ways: []string{"copy " + kernelbuild.RecordName + " along with the packages", "to trust them as they are: --no-record"},
		}
	case err != nil:
		return r, err
	case r.State != kernelbuild.Checked:
		return r, &cause.RefusalError{
			Kind: cause.Blocked, Seen: fmt.Sprintf("%s says that the build is %q", abs, r.State), Why: "its packages were not checked",
			Ways: []string{"finish it: xtm kernel build"},
		}
	}
	return r, nil
}

// hold compares a package with what the record says of it.
func (d Deb) hold(recorded []kernelbuild.Package) error {
	refuse := func(why string) error {
		return &cause.RefusalError{
			Kind: cause.Blocked, Seen: d.Path, Why: why,
			Ways: []string{"copy the packages and " + kernelbuild.RecordName + " again, or build them again"},
		}
	}
	i := slices.IndexFunc(recorded, func(p kernelbuild.Package) bool { return p.File == filepath.Base(d.Path) })
	if i < 0 {
		return refuse("the record beside it does not name it")
	}
	sum, err := fileSum(d.Path)
	if err != nil {
		return err
	}
	switch p := recorded[i]; {
	case sum != p.SHA256:
		return refuse("it is not the file that was built: SHA-256 " + sum + ", and the record says " + p.SHA256)
	case d.Name != p.Name || d.Version != p.Version || d.Kind != p.Kind:
		return refuse(fmt.Sprintf("it is %s %s (%s), and the record says %s %s (%s)", d.Name, d.Version, d.Kind, p.Name, p.Version, p.Kind))
	}
	return nil
}

// fileSum reads a file whole, whatever its size: packages are larger than
// hostfs reads at once.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func readDeb(ctx context.Context, start run.Func, path string) (Deb, error) {
	d := Deb{Path: path}
	if _, err := os.Stat(path); err != nil {
		return d, err
	}
	c := run.Cmd{Name: "dpkg-deb", Args: []string{"--field", path, "Package", "Version", "Installed-Size"}}
	r, err := start.Checked(ctx, c)
	if err != nil {
		return d, err
	}
	if err := d.fields(r.Stdout); err != nil {
		return d, fmt.Errorf("read %s: %w", path, err)
	}
	if d.Kind != kernelbuild.Image {
		return d, nil
	}
	c = run.Cmd{Name: "dpkg-deb", Args: []string{"--contents", path}}
	r, err = start.Checked(ctx, c)
	d.InBoot = inBoot(r.Stdout)
	return d, err
}

// fields reads what dpkg-deb prints of a package:
//
//	Package: linux-image-4.19.67-tmem
//	Version: 4.19.67-tmem-1
//	Installed-Size: 52345
func (d *Deb) fields(b []byte) error {
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			d.Name = value
		case "Version":
			d.Version = value
		case "Installed-Size":
			kib, err := strconv.ParseInt(value, 10, 40)
			if err != nil || kib < 0 {
				return fmt.Errorf("Installed-Size %.40q", value)
			}
			d.Unpacked = units.KiB(kib).Bytes()
		}
	}
	if !packageName.MatchString(d.Name) || d.Version == "" {
		return fmt.Errorf("a package called %.80q of version %.80q", d.Name, d.Version)
	}
	d.Kind = kindOf(d.Name)
	return nil
}

// kindOf tells a package by its name; "" is no package of a kernel build.
func kindOf(name string) kernelbuild.PackageKind {
	switch {
	case name == "linux-libc-dev":
		return kernelbuild.LibcDev
	case strings.HasPrefix(name, imagePrefix) && (strings.HasSuffix(name, "-dbg") || strings.HasSuffix(name, "-dbgsym")):
		return kernelbuild.Debug
	case strings.HasPrefix(name, imagePrefix):
		return kernelbuild.Image
	case strings.HasPrefix(name, headersPrefix):
		return kernelbuild.Headers
	}
	return ""
}

// inBoot reads the files of /boot from the listing of a package, as tar writes
// it:
//
//	-rw-r--r-- root/root   8252928 2026-11-22 15:04 ./boot/vmlinuz-4.19.67-tmem
func inBoot(listing []byte) map[string]units.Bytes {
	out := map[string]units.Bytes{}
	s := bufio.NewScanner(bytes.NewReader(listing))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) != 6 || !strings.HasPrefix(f[0], "-") {
			continue
		}
		name, ok := strings.CutPrefix(f[5], "./boot/")
		if size, err := strconv.ParseInt(f[2], 10, 64); ok && err == nil && size >= 0 {
			out[name] = units.Bytes(size)
		}
	}
	return out
}

// readConfig reads the kernel's configuration out of its package: a pipe,
// because the whole archive is hundreds of megabytes.
func readConfig(ctx context.Context, start run.Func, d Deb, release string) ([]byte, error) {
	c := run.Cmd{Name: "sh", Args: []string{"-c", `dpkg-deb --fsys-tarfile "$1" | tar -x -O -f - "./boot/config-$2"`, "sh", d.Path, release}}
	r, err := start.Checked(ctx, c)
	return r.Stdout, err
}
