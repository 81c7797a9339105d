package grub

import (
	"fmt"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Boot is how a machine boots: what decides it, and what will.
type Boot struct {
	Loader Loader
	// Settings and Menu are those of GRUB 2, and absent elsewhere.
	Settings *Config
	Menu     Menu
	// Env is GRUB's environment block; nil where there is none.
	Env map[string]string
}

// ReadBoot finds what boots a machine and, where that is GRUB 2, reads its
// settings, its menu and its environment block.
func ReadBoot(files hostfs.Files) (Boot, error) {
	loader, err := FindLoader(files)
	if err != nil || loader.Kind != GRUB2 {
		return Boot{Loader: loader}, err
	}
	b := Boot{Loader: loader}
	err = b.Reread(files)
	return b, err
}

// Reread reads what GRUB 2 has by now, of the same loader.
func (b *Boot) Reread(files hostfs.Files) (err error) {
	if b.Settings, err = Load(files); err != nil {
		return err
	}
	if b.Menu, err = ReadMenu(files, b.Loader); err != nil {
		return err
	}
	b.Env = nil
	block, err := files.ReadFile(b.Loader.EnvBlock)
	switch {
	case cause.Of(err) == cause.NoData:
		return nil
	case err != nil:
		return err
	}
	b.Env, err = ParseEnv(block)
	return err
}

// ReadMenu reads the menu that a GRUB 2 has.
func ReadMenu(files hostfs.Files, l Loader) (Menu, error) {
	src, err := files.ReadFile(l.Menu)
	if err != nil {
		return Menu{}, err
	}
	menu, err := ParseMenu(src)
	if err != nil {
		return menu, fmt.Errorf("read %s: %w", l.Menu, err)
	}
	return menu, nil
}
