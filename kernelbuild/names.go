package kernelbuild

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrName means that a name or a version would be refused, by dpkg after hours
// of compiling.
var ErrName = errors.New("not a valid name")

// Names are what the build will be called.
type Names struct {
	// LocalVersion is what the build adds to the kernel's version.
	LocalVersion string `json:"localversion"`
	// Release is what uname -r will say.
	Release string `json:"release"`
	// PackageVersion is the version of the packages, KDEB_PKGVERSION.
	PackageVersion string `json:"package_version"`
	// Image and Headers are the files to install; the build may leave others.
	Image   string `json:"image"`
	Headers string `json:"headers"`
}

// maxRelease is the kernel's own limit (Makefile, uts_len).
const maxRelease = 64

var (
	localForm   = regexp.MustCompile(`^[a-z0-9.+-]+$`)
	releaseForm = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?(-rc[0-9]+)?[a-z0-9.+-]*$`)
	debVersion  = regexp.MustCompile(`^([0-9]{1,9}:)?[0-9]([A-Za-z0-9.+~-]*[A-Za-z0-9.+~])?$`)
)

// Name makes the names of a build of a kernel's version, such as 4.19.67. The
// package version may be empty: then it is the release with revision 1. An
// error wraps ErrName.
func Name(upstream, localVersion, packageVersion, architecture string) (Names, error) {
	if localVersion == "" {
		return Names{}, fmt.Errorf("name build: an empty local version: %w: the packages could not be told from another build of %s", ErrName, upstream)
	}
	if !localForm.MatchString(localVersion) {
		return Names{}, fmt.Errorf("name build: local version %q: %w: package names have lower-case letters, digits, and . + - only", localVersion, ErrName)
	}
	n := Names{LocalVersion: localVersion, Release: upstream + localVersion, PackageVersion: packageVersion}
	if !releaseForm.MatchString(n.Release) {
		return Names{}, fmt.Errorf("name build: release %q: %w", n.Release, ErrName)
	}
	if len(n.Release) > maxRelease {
		return Names{}, fmt.Errorf("name build: release %q: %w: %d characters, and the kernel takes %d", n.Release, ErrName, len(n.Release), maxRelease)
	}
	if n.PackageVersion == "" {
		n.PackageVersion = n.Release + "-1"
	}
	if err := checkVersion(n.PackageVersion); err != nil {
		return Names{}, err
	}
	_, file, epoch := strings.Cut(n.PackageVersion, ":") // the name of a file has no epoch
	if !epoch {
		file = n.PackageVersion
	}
	n.Image = "linux-image-" + n.Release + "_" + file + "_" + architecture + ".deb"
	n.Headers = "linux-headers-" + n.Release + "_" + file + "_" + architecture + ".deb"
	return n, nil
}

// checkVersion tells whether dpkg would take a version.
func checkVersion(v string) error {
	switch {
	case v == "" || v[0] < '0' || v[0] > '9':
		return fmt.Errorf("name build: package version %q: %w: it must begin with a digit", v, ErrName)
	case !debVersion.MatchString(v):
		return fmt.Errorf("name build: package version %q: %w: letters, digits and . + ~ - only, and no - at the end", v, ErrName)
	default:
		return nil
	}
}
