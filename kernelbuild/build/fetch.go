package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/kernelbuild"
	"xtm/kernelbuild/apt"
)

func (s *session) fetchInputs() []string {
	in := []string{s.sourceID()}
	if info, err := os.Stat(s.Options.Source); err == nil && !info.IsDir() {
		in = append(in, info.ModTime().String())
	}
	return in
}

func (s *session) fetched(result map[string]string) bool {
	s.record.Inputs.Route = result["route"]
	_, err := os.Stat(s.treeDir() + "/Makefile")
	return err == nil
}

// fetch brings the source into the work folder, by the first way that works.
func (s *session) fetch(ctx context.Context) (map[string]string, error) {
	for _, dir := range []string{s.treeDir(), s.path("unpack")} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("make room for the source: %w", err)
		}
	}
	for _, dir := range []string{s.path("src"), s.path("fetch"), s.path("unpack")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	ways := map[kernelbuild.RouteKind]func(context.Context, kernelbuild.Route) error{
		kernelbuild.UserSource: s.userSource, kernelbuild.SourceDeb: s.sourceDeb,
		kernelbuild.SourceIndex: s.sourceIndex, kernelbuild.Snapshot: s.snapshot,
	}
	var tries []error
	for _, r := range s.plan.Routes {
		if r.Kind == kernelbuild.Snapshot && !r.Open {
			tries = append(tries, fmt.Errorf("%s: %s", r.Kind, r.Why))
			continue
		}
		s.Report(Event{Phase: Fetch, Kind: Noted, Text: string(r.Kind) + ": " + r.What})
		err := ways[r.Kind](ctx, r)
		if err == nil {
			err = s.settle()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			s.record.Inputs.Route = string(r.Kind)
			return map[string]string{"route": string(r.Kind), "source": s.sourceID()}, nil
		}
		tries = append(tries, fmt.Errorf("%s: %s: %w", r.Kind, r.What, err))
		if err := os.RemoveAll(s.path("unpack")); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(s.path("unpack"), 0o755); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no way to the source of %s worked:\n%w", s.sourceID(), errors.Join(tries...))
}

// program runs something that may take long and must succeed, in a folder.
func (s *session) program(ctx context.Context, dir, name string, args ...string) error {
	c := run.Cmd{Name: name, Args: args, Dir: dir, Timeout: 2 * time.Hour}
	_, err := s.Run.Checked(ctx, c)
	return err
}

// userSource takes a folder, a tarball, or a .dsc. A folder is copied: building
// would leave thousands of files in it.
func (s *session) userSource(ctx context.Context, r kernelbuild.Route) error {
	info, err := os.Stat(r.What)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return s.program(ctx, "", "cp", "-a", "--reflink=auto", r.What, s.path("unpack"))
	case strings.HasSuffix(r.What, ".dsc"):
		return s.program(ctx, s.path("unpack"), "dpkg-source", "--extract", r.What, "linux")
	case strings.HasSuffix(r.What, ".deb"):
		return s.unpackDeb(ctx, r.What)
	default:
		return s.untar(ctx, r.What)
	}
}

// untar unpacks a tarball. GNU tar refuses names that climb out of the folder.
func (s *session) untar(ctx context.Context, path string) error {
	return s.program(ctx, "", "tar", "--extract", "--file", path, "--directory", s.path("unpack"), "--no-same-owner")
}

// unpackDeb takes the tarball out of a linux-source package.
func (s *session) unpackDeb(ctx context.Context, path string) error {
	dir := s.path("fetch", "deb")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := s.program(ctx, "", "dpkg-deb", "--extract", path, dir); err != nil {
		return err
	}
	tarballs, err := filepath.Glob(dir + "/usr/src/linux-source-*.tar.*")
	if err == nil && len(tarballs) == 0 { // Ubuntu's has a folder in between
		tarballs, err = filepath.Glob(dir + "/usr/src/*/linux-source-*.tar.*")
	}
	if err != nil {
		return err
	}
	if len(tarballs) != 1 {
		return fmt.Errorf("look for the tarball in %s: found %d: %w", filepath.Base(path), len(tarballs), cause.ErrNoData)
	}
	if err := s.untar(ctx, tarballs[0]); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// settle moves the one tree that was unpacked to where it is built. A folder
// debian is put beside it: packing overwrites such a folder.
func (s *session) settle() error {
	found, err := filepath.Glob(s.path("unpack", "*", "Makefile"))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("look for the kernel tree: %d folders with a Makefile were unpacked: %w", len(found), cause.ErrNoData)
	}
	dir := filepath.Dir(found[0])
	if _, err := os.Stat(dir + "/debian/rules"); err == nil {
		aside := s.path("fetch", "debian")
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
		if err := os.Rename(dir+"/debian", aside); err != nil {
			return err
		}
	}
	return os.Rename(dir, s.treeDir())
}

// aptGet runs apt-get with the private configuration.
func (s *session) aptGet(ctx context.Context, args ...string) error {
	args = append([]string{"--config-file=" + s.path("apt", "apt.conf"), "--quiet", "--yes"}, args...)
	return s.program(ctx, s.path("fetch"), "apt-get", args...)
}

// privateApt makes apt's configuration and asks the archives what they have.
// Nothing in /etc is changed and no root is needed.
func (s *session) privateApt(ctx context.Context) error {
	sources, err := apt.ReadSources(s.Files)
	if err != nil {
		return err
	}
	if len(sources.Stanzas) == 0 {
		return fmt.Errorf("find the distribution's archives in /etc/apt: there are none (%s): %w", strings.Join(sources.Dropped, "; "), cause.ErrNoData)
	}
	for _, dir := range []string{"sources.d", "lists/partial", "cache/archives/partial", "log"} {
		if err := os.MkdirAll(s.path("apt", dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"apt.conf": apt.Config(s.path("apt")), "sources.d/xtm.sources": sources.Text()} {
		if err := os.WriteFile(s.path("apt", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := s.aptGet(ctx, "update"); err != nil {
		return fmt.Errorf("ask the archives (%s): %w", strings.Join(sources.URLs(), " "), err)
	}
	return nil
}

// sourceDeb fetches linux-source-X.Y.
func (s *session) sourceDeb(ctx context.Context, r kernelbuild.Route) error {
	if err := s.privateApt(ctx); err != nil {
		return err
	}
	if err := s.aptGet(ctx, "download", r.What); err != nil {
		return err
	}
	name, _, _ := strings.Cut(r.What, "=")
	debs, err := filepath.Glob(s.path("fetch", name+"_*.deb"))
	if err != nil {
		return err
	}
	if len(debs) != 1 {
		return fmt.Errorf("look for the downloaded %s: found %d: %w", name, len(debs), cause.ErrNoData)
	}
	if err := s.unpackDeb(ctx, debs[0]); err != nil {
		return err
	}
	return os.Remove(debs[0])
}

// sourceIndex fetches the source package.
func (s *session) sourceIndex(ctx context.Context, r kernelbuild.Route) error {
	if err := s.privateApt(ctx); err != nil {
		return err
	}
	if err := s.aptGet(ctx, "source", "--download-only", "--only-source", r.What); err != nil {
		return err
	}
	return s.extractSource(ctx)
}

// extractSource unpacks the one source package in the fetch folder.
func (s *session) extractSource(ctx context.Context) error {
	dsc, err := filepath.Glob(s.path("fetch", "*.dsc"))
	if err != nil {
		return err
	}
	if len(dsc) != 1 {
		return fmt.Errorf("look for the downloaded source package: found %d: %w", len(dsc), cause.ErrNoData)
	}
	return s.program(ctx, s.path("unpack"), "dpkg-source", "--extract", dsc[0], "linux")
}
