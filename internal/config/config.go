// Package config reads xtm's own configuration file. What it says stands above
// the defaults and below the command line.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/toml"
)

// Path is where the file is looked for.
const Path = "/etc/xtm/xtm.toml"

// Config is all that can be configured.
type Config struct {
	History History `toml:"history"`
}

// History says where history is kept and how much of it.
type History struct {
	// Path of the file, absolute.
	Path string `toml:"path"`
	// Snapshots is how long every snapshot is kept, Hours how long one row an
	// hour.
	Snapshots Age `toml:"snapshots"`
	Hours     Age `toml:"hours"`
	// MaxSize of the file wins over the ages.
	MaxSize Size `toml:"max_size"`
}

// Default is the configuration where there is no file.
func Default() Config {
	const day = 24 * time.Hour
	return Config{History{
		Path: "/var/lib/xtm/history.db", Snapshots: Age{90 * day}, Hours: Age{3 * 365 * day}, MaxSize: Size{1 << 30},
	}}
}

// Read reads the file at Path; where there is none it is Default.
func Read(files hostfs.Files) (Config, error) {
	text, err := files.ReadFile(Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Default(), nil
	case err != nil:
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", Path, err)
	}
	return c, nil
}

// Parse reads the text of a file, strictly: what is not known is an error.
//
//	[history]
//	path = "/srv/xtm/history.db"
//	snapshots = "30d"
//	max_size = "256MiB"
func Parse(text []byte) (Config, error) {
	c := Default()
	if err := toml.Decode(text, &c); err != nil {
		return Config{}, err
	}
	h := c.History
	switch {
	case !filepath.IsAbs(h.Path):
		return Config{}, fmt.Errorf("history: path %q is not absolute", h.Path)
	case h.Hours.Duration < h.Snapshots.Duration:
		return Config{}, fmt.Errorf("history: hours (%s) are kept shorter than snapshots (%s)", h.Hours, h.Snapshots)
	}
	return c, nil
}
