// Package kernelbuild plans a kernel package: it finds the source of the kernel
// that runs, tells what stands in the way before anything is fetched, and knows
// what tmem needs. ReadTree and FindConfig read files; all else works on facts
// that are handed in.
package kernelbuild

import (
	"fmt"
	"regexp"
	"strings"

	"xtm/internal/cause"
)

// Owner is what dpkg says of the package that holds the running kernel.
type Owner struct {
	Package       string `json:"package"`
	Version       string `json:"version"`
	Source        string `json:"source"`
	SourceVersion string `json:"source_version"`
	BuiltUsing    string `json:"built_using,omitempty"`
}

// OwnerFormat is the format for dpkg-query --show that ParseOwner reads.
const OwnerFormat = `${Package}\t${Version}\t${source:Package}\t${source:Version}\t${Built-Using}\n`

// OwnerPaths are the files to ask dpkg-query --search about, best first. On sid
// since 2026 the file in /boot is made by a hook and belongs to no package.
func OwnerPaths(release string) []string {
	return []string{
		"/usr/lib/modules/" + release + "/vmlinuz",
		"/usr/lib/modules/" + release + "/modules.builtin",
		"/lib/modules/" + release + "/modules.builtin",
		"/boot/vmlinuz-" + release,
	}
}

// ParseOwner reads one line of dpkg-query --show in OwnerFormat.
//
// Debian 12, 6.1.192:
//
//	linux-image-6.1.0-56-amd64	6.1.192-2	linux-signed-amd64	6.1.192+2	linux (= 6.1.192-2)
func ParseOwner(line string) (Owner, error) {
	f := strings.Split(strings.TrimRight(line, "\n"), "\t")
	if len(f) != 5 || f[0] == "" || f[1] == "" || len(line) > 4096 || strings.Contains(f[4], "\n") {
		return Owner{}, fmt.Errorf("read dpkg-query line 1: not a package with five fields: %q", line[:min(len(line), 200)])
	}
	for _, name := range []string{f[0], f[2]} {
		if name != "" && !packageName.MatchString(name) {
			return Owner{}, fmt.Errorf("read dpkg-query line 1: no package is called %q", name)
		}
	}
	for _, version := range []string{f[1], f[3]} {
		if version != "" && !versionForm.MatchString(version) {
			return Owner{}, fmt.Errorf("read dpkg-query line 1: not a version: %q", version)
		}
	}
	return Owner{f[0], f[1], f[2], f[3], f[4]}, nil
}

// Source is a source package at one version.
type Source struct {
	Package string `json:"package"`
	Version string `json:"version"`
	// Upstream is the kernel's own version, as the tree's Makefile has it.
	Upstream string `json:"upstream"`
	// Binary is the package that carries the source as a tarball.
	Binary string `json:"binary"`
	// Why says how it was found, in one sentence.
	Why string `json:"why"`
}

// ID is how apt names the source: "linux=6.1.192-2".
func (s Source) ID() string { return s.Package + "=" + s.Version }

var (
	// What dpkg lets through as a version (deb-version(7)).
	versionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]*$`)

	debianSource = regexp.MustCompile(`^linux(-[0-9]+\.[0-9]+)?$`)
	debianSigned = regexp.MustCompile(`^linux-signed(-[0-9]+\.[0-9]+)?-[a-z0-9]+$`)
	ubuntuSource = regexp.MustCompile(`^linux(-[a-z0-9.]+)*$`)
	builtUsing   = regexp.MustCompile(`^(linux[a-z0-9.+-]*) \(= ([0-9][A-Za-z0-9.+~:-]*)\)$`)
	binNMU       = regexp.MustCompile(`\+b[0-9]+$`)
)

// Locate finds the source of an installed kernel. Debian signs its kernels in a
// source package of its own, which holds no kernel: the real one is in
// Built-Using. An error wraps cause.ErrNotSupported where the kernel is not of
// Debian or Ubuntu; then only a source that the user names will do.
func Locate(o Owner, distribution string) (Source, error) {
	own := Source{Package: o.Source, Version: o.SourceVersion, Why: o.Package + " was built from it"}
	if own.Package == "" { // dpkg leaves the field out where the names are the same
		own.Package = o.Package
	}
	if own.Version == "" {
		own.Version = binNMU.ReplaceAllString(o.Version, "")
	}
	ubuntu := distribution == "ubuntu"
	switch {
	case strings.Contains(own.Package, "-upstream") || strings.HasPrefix(own.Package, "linux-image-"):
		return Source{}, foreign(o, "it was built by hand")
	case debianSigned.MatchString(own.Package) || ubuntu && strings.HasPrefix(own.Package, "linux-signed"):
		own = unsigned(o, own.Package, ubuntu)
	case !ubuntu && !debianSource.MatchString(own.Package), ubuntu && !ubuntuSource.MatchString(own.Package):
		return Source{}, foreign(o, "its source is "+own.Package)
	}
	up, err := upstreamVersion(own.Version)
	if err != nil {
		return Source{}, fmt.Errorf("locate source of %s: %w", o.Package, err)
	}
	own.Upstream = up
	series, err := SeriesOf(up)
	if err != nil {
		return Source{}, fmt.Errorf("locate source of %s: %w", o.Package, err)
	}
	own.Binary = "linux-source-" + series.String()
	if ubuntu {
		own.Binary += ".0"
	}
	return own, nil
}

// unsigned finds the source behind a signed one: in Built-Using, else by the
// version of the binary package, for the signed source spells its own
// differently (6.1.192+2).
func unsigned(o Owner, signed string, ubuntu bool) Source {
	for entry := range strings.SplitSeq(o.BuiltUsing, ",") {
		if m := builtUsing.FindStringSubmatch(strings.TrimSpace(entry)); m != nil {
			return Source{Package: m[1], Version: m[2], Why: o.Package + " is signed (" + signed + ") and built using it"}
		}
	}
	name := strings.Replace(signed, "linux-signed", "linux", 1)
	if i := strings.LastIndexByte(name, '-'); !ubuntu && i > 0 {
		name = name[:i] // the architecture
	}
	return Source{
		Package: name, Version: binNMU.ReplaceAllString(o.Version, ""),
		Why: o.Package + " is signed (" + signed + ") and does not say what from: the version is the package's own",
	}
}

// foreign is the error for a kernel whose source no archive is known to have.
func foreign(o Owner, why string) error {
	return fmt.Errorf("locate source of %s %s: %s, so no archive of Debian or Ubuntu has it; name its tree, tarball or .dsc with --source: %w",
		o.Package, o.Version, why, cause.ErrNotSupported)
}
