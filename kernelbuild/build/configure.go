package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"xtm/kernelbuild/kconfig"
)

func (s *session) configureInputs() []string {
	in := []string{s.Export.Config, s.plan.Toolchain.Compiler.Version, strings.Join(s.configArguments(), " ")}
	for _, r := range slices.Concat(s.plan.Sanitised, s.plan.Requested) {
		in = append(in, r.Symbol+"="+r.Value)
	}
	if s.Options.Localmod {
		in = append(in, "localmod")
		in = append(in, s.Export.Modules...)
	}
	return in
}

func (s *session) configured(result map[string]string) bool {
	b, err := os.ReadFile(s.treeDir() + "/.config")
	return err == nil && sum(b) == result["config"]
}

// configArguments are those of make that its configuration depends on.
func (s *session) configArguments() []string {
	return slices.DeleteFunc(slices.Clone(s.plan.Make[1:]), func(a string) bool {
		return strings.HasPrefix(a, "-j") || strings.HasPrefix(a, "KDEB_") || strings.HasPrefix(a, "DPKG_")
	})
}

// configure writes the configuration: the base, what others need to build it,
// the wishes last, and then lets the kernel have its say.
func (s *session) configure(ctx context.Context) (map[string]string, error) {
	if s.base == nil {
		return nil, errNoBase
	}
	if err := os.MkdirAll(s.path("config"), 0o755); err != nil {
		return nil, err
	}
	config := s.base.Clone()
	if s.Options.Localmod {
		var err error
		if config, err = s.localmod(ctx, config); err != nil {
			return nil, err
		}
	}
	if _, err := s.tree.Kconfig.Apply(config, slices.Concat(s.plan.Sanitised, s.plan.Requested)); err != nil {
		return nil, err
	}
	for name, c := range map[string]*kconfig.Config{"base.config": s.base, "request.config": config} {
		if err := os.WriteFile(s.path("config", name), c.Bytes(), 0o644); err != nil {
			return nil, err
		}
	}
	b, err := s.olddefconfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.path("config", "final.config"), b, 0o644); err != nil {
		return nil, err
	}
	return map[string]string{"config": sum(b)}, nil
}

// olddefconfig lets the kernel complete a configuration.
func (s *session) olddefconfig(ctx context.Context, c *kconfig.Config) ([]byte, error) {
	path := s.treeDir() + "/.config"
	if err := os.WriteFile(path, c.Bytes(), 0o644); err != nil {
		return nil, err
	}
	if err := s.make(ctx, Configure, "olddefconfig", s.configArguments(), nil, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// localmod leaves out the modules that the target has not loaded, and keeps all
// that is Xen's: a Dom0 does not load the drivers that its guests need, nor the
// other way round.
func (s *session) localmod(ctx context.Context, base *kconfig.Config) (*kconfig.Config, error) {
	if len(s.Export.Modules) == 0 {
		return nil, errors.New("keep the loaded modules only: the target has none loaded; its configuration is all built in")
	}
	full := base.Clone()
	if _, err := s.tree.Kconfig.Apply(full, s.plan.Sanitised); err != nil {
		return nil, err
	}
	if _, err := s.olddefconfig(ctx, full); err != nil {
		return nil, err
	}
	list := "Module Size Used by\n" + strings.Join(s.Export.Modules, " 16384 0\n") + " 16384 0\n"
	if err := os.WriteFile(s.path("config", "lsmod"), []byte(list), 0o644); err != nil {
		return nil, err
	}
	args := append(s.configArguments(), "LSMOD="+s.path("config", "lsmod"))
	enter := bytes.Repeat([]byte("\n"), 20_000) // it asks about symbols that became visible
	if err := s.make(ctx, Configure, "localmodconfig", args, enter, nil); err != nil {
		return nil, err
	}
	config, err := readConfig(s.treeDir() + "/.config")
	if err != nil {
		return nil, err
	}
	_, before := full.Enabled()
	for _, name := range full.Names() {
		if value := full.Text(name); (value == "m" || value == "y") && s.keeps(name) {
			if err := config.Set(name, value); err != nil {
				return nil, err
			}
		}
	}
	_, after := config.Enabled()
	s.Report(Event{Phase: Configure, Kind: Noted, Text: fmt.Sprintf("%d of %d modules are left", after, before)})
	return config, nil
}

// keeps tells whether a symbol stays whatever is loaded.
func (s *session) keeps(symbol string) bool {
	switch {
	case strings.HasPrefix(symbol, "XEN") || strings.Contains(symbol, "_XEN"):
		return true
	case s.Export.Crypttab && (symbol == "DM_CRYPT" || symbol == "CRYPTO_XTS" || symbol == "CRYPTO_AES"):
		return true
	case s.Export.Mdadm && (symbol == "BLK_DEV_MD" || strings.HasPrefix(symbol, "MD_RAID")):
		return true
	default:
		return false
	}
}
