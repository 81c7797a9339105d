package kernelbuild

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/kernelbuild/kconfig"
)

// ConfigPaths are where a distribution keeps the configuration of a kernel,
// best first. Debian moved it from /boot in 2026. Only the running kernel can
// have it in /proc, compressed.
func ConfigPaths(release string, running bool) []string {
	paths := []string{
		"/boot/config-" + release,
		"/usr/lib/modules/" + release + "/config",
		"/lib/modules/" + release + "/config-" + release,
	}
	if running {
		paths = append(paths, "/proc/config.gz")
	}
	return paths
}

// releaseName is what uname -r can say, and what may stand in a path.
var releaseName = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~_-]{0,63}$`)

// FindConfig reads the configuration of an installed kernel, and tells where it
// was. An error wraps cause.ErrNoData where there is none.
func FindConfig(files hostfs.Files, release string, running bool) (*kconfig.Config, string, error) {
	if !releaseName.MatchString(release) {
		return nil, "", fmt.Errorf("find configuration of kernel %q: no release of a kernel: %w", release, cause.ErrNoData)
	}
	paths := ConfigPaths(release, running)
	for _, path := range paths {
		b, err := files.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, "", fmt.Errorf("find configuration of kernel %s: %w", release, err)
		}
		c, err := kconfig.ReadConfig(b)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		return c, path, nil
	}
	return nil, "", fmt.Errorf("find configuration of kernel %s: looked at %s: %w", release, strings.Join(paths, ", "), cause.ErrNoData)
}
