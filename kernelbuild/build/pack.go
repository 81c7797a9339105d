package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/kernelbuild"
	"xtm/kernelbuild/kconfig"
)

// ErrPackage means that a package is not what was to be built.
var ErrPackage = errors.New("the packages are not what was to be built")

// listed reads what the build says it made: the .changes file beside the tree,
// or debian/files in an old one.
func (s *session) listed() ([]kernelbuild.Listed, error) {
	changes, err := filepath.Glob(s.path("src", "*.changes"))
	switch {
	case err != nil:
		return nil, err
	case len(changes) > 1:
		return nil, fmt.Errorf("read what was built: %d .changes files: %w", len(changes), ErrPackage)
	case len(changes) == 1:
		b, err := os.ReadFile(changes[0])
		if err != nil {
			return nil, err
		}
		return kernelbuild.ParseChanges(b)
	}
	b, err := os.ReadFile(s.treeDir() + "/debian/files")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what was built: neither a .changes file nor debian/files: %w", ErrPackage)
	} else if err != nil {
		return nil, err
	}
	return kernelbuild.ParseFiles(b)
}

// packageCheck opens the packages, compares them with the plan, and puts them
// beside the record.
func (s *session) packageCheck(ctx context.Context) (map[string]string, error) {
	files, err := s.listed()
	if err != nil {
		return nil, err
	}
	var packages []kernelbuild.Package
	kinds := map[kernelbuild.PackageKind]bool{}
	for _, f := range files {
		p, err := s.inspect(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", f.File, err)
		}
		packages = append(packages, p)
		kinds[p.Kind] = true
	}
	switch {
	case !kinds[kernelbuild.Image]:
		return nil, fmt.Errorf("no package has the kernel: %w", ErrPackage)
	case s.hasModules() && !kinds[kernelbuild.Headers]:
		return nil, fmt.Errorf("no package has the headers: %w", ErrPackage)
	}
	for _, p := range packages {
		if p.Kind == kernelbuild.Image {
			if err := s.checkImage(ctx, p); err != nil {
				return nil, fmt.Errorf("check %s: %w", p.File, err)
			}
		}
	}
	if err := s.publish(packages); err != nil {
		return nil, err
	}
	if s.record.Reproducer == "" { // the build was kept
		s.record.Reproducer, s.record.Inputs.Timestamp = s.reproducer(), s.timestamp()
		s.record.Inputs.LogFile, s.record.Inputs.ObjectsBuilt = s.plan.Make[0]+".log", s.expectedObjects()
	}
	s.record.Packages = packages
	return nil, nil
}

// inspect reads one package's control data and compares it with the plan.
func (s *session) inspect(ctx context.Context, f kernelbuild.Listed) (kernelbuild.Package, error) {
	p := kernelbuild.Package{File: f.File}
	path := s.path("src", f.File)
	info, err := os.Stat(path)
	if err != nil {
		return p, fmt.Errorf("it is listed and not there: %w", errors.Join(ErrPackage, err))
	}
	p.Size = units.Bytes(info.Size())
	if p.SHA256, err = fileHash(path); err != nil {
		return p, err
	}
	if f.SHA256 != "" && f.SHA256 != p.SHA256 {
		return p, fmt.Errorf("its hash is not the listed one: %w", ErrPackage)
	}
	out, err := s.output(ctx, "dpkg-deb", "--show", "--showformat=${Package}\t${Version}\t${Architecture}", path)
	if err != nil {
		return p, err
	}
	fields := strings.Split(out, "\t")
	if len(fields) != 3 {
		return p, fmt.Errorf("dpkg-deb shows %q: %w", out, ErrPackage)
	}
	p.Name, p.Version, p.Architecture = fields[0], fields[1], fields[2]
	kind, ok := kernelbuild.KindOf(p.Name)
	n := s.plan.Names
	switch {
	case !ok:
		return p, fmt.Errorf("a kernel build makes no package %s: %w", p.Name, ErrPackage)
	case p.Version != n.PackageVersion:
		return p, fmt.Errorf("its version is %s, not %s: %w", p.Version, n.PackageVersion, ErrPackage)
	case p.Architecture != s.Export.Target.Architecture:
		return p, fmt.Errorf("it is for %s, not %s: %w", p.Architecture, s.Export.Target.Architecture, ErrPackage)
	case kind == kernelbuild.Image && p.Name != "linux-image-"+n.Release, kind == kernelbuild.Headers && p.Name != "linux-headers-"+n.Release:
		return p, fmt.Errorf("its name is %s, and the release %s: %w", p.Name, n.Release, ErrPackage)
	}
	p.Kind = kind
	return p, nil
}

// checkImage looks into the package with the kernel: the kernel, its
// configuration with the wishes, and the modules that were asked for.
func (s *session) checkImage(ctx context.Context, p kernelbuild.Package) error {
	path, release := s.path("src", p.File), s.plan.Names.Release
	list, err := s.shell(ctx, `dpkg-deb --fsys-tarfile "$1" | tar -tf -`, path)
	if err != nil {
		return err
	}
	has := func(suffix string) bool {
		for line := range strings.Lines(list) {
			name := strings.TrimPrefix(strings.TrimSpace(line), "./")
			if strings.HasPrefix(name, suffix) {
				return true
			}
		}
		return false
	}
	if !has("boot/vmlinuz-" + release) {
		return fmt.Errorf("it has no boot/vmlinuz-%s: %w", release, ErrPackage)
	}
	text, err := s.shell(ctx, `dpkg-deb --fsys-tarfile "$1" | tar -xOf - "./boot/config-$2"`, path, release)
	if err != nil {
		return err
	}
	config, err := kconfig.ReadConfig([]byte(text))
	if err != nil {
		return fmt.Errorf("its boot/config-%s: %w", release, err)
	}
	for _, r := range s.plan.Requested {
		if !r.FulfilledBy(config) {
			return fmt.Errorf("its configuration has %s=%s, not %s: %w", r.Symbol, config.Text(r.Symbol), r.Value, ErrPackage)
		}
	}
	if f, ok := s.Export.Target.InitrdReadable(config); !ok {
		return fmt.Errorf("%s: %w", f.Seen, ErrPackage)
	}
	for _, m := range kernelbuild.ModulesOf(config, s.plan.Requested) {
		if !has("lib/modules/"+release+"/kernel/"+m) && !has("usr/lib/modules/"+release+"/kernel/"+m) {
			return fmt.Errorf("it has no module %s: %w", m, ErrPackage)
		}
	}
	return nil
}

// shell runs a pipe of two programs; both have to succeed.
func (s *session) shell(ctx context.Context, script string, args ...string) (string, error) {
	c := run.Cmd{Name: "bash", Args: append([]string{"-c", "set -o pipefail; " + script, "bash"}, args...), Timeout: 10 * time.Minute}
	r, err := s.Run.Checked(ctx, c)
	return string(r.Stdout), err
}

// publish puts the packages beside the record, and takes those of an earlier
// build away.
func (s *session) publish(packages []kernelbuild.Package) error {
	old, err := filepath.Glob(filepath.Join(s.out(), "*.deb"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, p := range packages {
		if err := os.Link(s.path("src", p.File), filepath.Join(s.out(), p.File)); err != nil {
			return fmt.Errorf("put packages into out: %w", err)
		}
	}
	return nil
}
