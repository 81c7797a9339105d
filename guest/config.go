package guest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Config is the configuration that a kernel was built with.
type Config struct {
	// Source is the file that it is from.
	Source string `json:"source"`
	// Symbols are the values of those that are set, without CONFIG_: "y", "m",
	// a number or a string in quotes. One that is not set has no line, and so has
	// one that this kernel does not know.
	Symbols map[string]string `json:"-"`
}

// Set tells whether a symbol is built in or a module.
func (c Config) Set(symbol string) bool { return c.Symbols[symbol] == "y" || c.Symbols[symbol] == "m" }

// ReadConfig reads the configuration of a kernel. /proc/config.gz is the running
// kernel's own and is asked first where the release is the running one's; the
// others are files of its package. cause.ErrNoData where there is none.
func ReadConfig(files hostfs.Files, release string, running bool) (Config, error) {
	paths := []string{"/boot/config-" + release, "/lib/modules/" + release + "/config"}
	if running {
		paths = append([]string{"/proc/config.gz"}, paths...)
	}
	for _, p := range paths {
		b, err := files.ReadFile(p)
		switch {
		case cause.Of(err) == cause.NoData:
			continue
		case err != nil:
			return Config{}, err
		}
		set, err := parseConfigFile(b)
		if err != nil {
			return Config{}, fmt.Errorf("read %s: %w", p, err)
		}
		return Config{p, set}, nil
	}
	return Config{}, fmt.Errorf("find the configuration of kernel %s: none of %s: %w",
		release, strings.Join(paths, ", "), cause.ErrNoData)
}

// maxConfig bounds a configuration that was compressed. That of Debian's 6.1 has
// 270 KB.
const maxConfig = 16 << 20

func parseConfigFile(b []byte) (map[string]string, error) {
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return parseConfig(bytes.NewReader(b))
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: z, N: maxConfig + 1}
	set, err := parseConfig(limited)
	if limited.N == 0 {
		return nil, fmt.Errorf("more than %d bytes: %w", maxConfig, hostfs.ErrTooLarge)
	}
	return set, err
}

// parseConfig reads lines of a configuration, as from captures/xen-4.12. What is
// "not set" is left out.
//
//	# CONFIG_XEN_512GB is not set
//	CONFIG_CLEANCACHE=y
//	CONFIG_XEN_TMEM=m
//	CONFIG_DEFAULT_HOSTNAME="(none)"
func parseConfig(r io.Reader) (map[string]string, error) {
	set := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // CONFIG_CMDLINE and lists of firmware may be long
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, is := strings.CutPrefix(name, "CONFIG_")
		if !ok || !is || name == "" {
			return nil, fmt.Errorf("line %d: %.80q is no line of a kernel configuration", n, line)
		}
		if value == "n" {
			delete(set, name)
			continue
		}
		set[name] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return set, nil
}
