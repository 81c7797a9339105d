package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// dependMode stands before a compiler as ccache does. For what it sees the first
// time, ccache runs the preprocessor besides the compiler, which makes a first
// build a third slower than one without ccache. Its depend mode takes the list of
// headers that the compiler writes instead, but does not see what .incbin brings
// in: a stale configuration, certificate or initramfs. So whatever is no C, and C
// that has .incbin, goes the slow way; no header of Linux 4.19 to 7.2 for x86 has
// it. Kbuild's commands end with the source.
const dependMode = `#!/bin/sh
for last; do :; done
case $last in
*.c) grep -q incbin "$last" || export CCACHE_DEPEND=1 ;;
esac
exec ccache "$@"
`

// throughCcache replaces ccache by dependMode before the compiler of the kernel.
// The one of the host's programs stays, for depend mode leaves out the system's
// headers.
func (s *session) throughCcache(args []string) ([]string, error) {
	const with = "CC=ccache "
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, with) })
	if i < 0 {
		return args, nil
	}
	path := s.path("ccache-depend")
	if err := os.WriteFile(path+".new", []byte(dependMode), 0o755); err != nil { //nolint:gosec // make runs it
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	args = slices.Clone(args)
	args[i] = "CC=" + path + " " + strings.TrimPrefix(args[i], with)
	return args, nil
}

// ccacheDir is shared by the builds of one user, whose home may not be writable.
func (s *session) ccacheDir() string {
	beside := filepath.Dir(s.Dir)
	if unix.Access(beside, unix.W_OK) == nil {
		return filepath.Join(beside, "ccache")
	}
	return s.path("ccache")
}
