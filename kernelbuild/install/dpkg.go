package install

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/run"
)

// packageName is what dpkg lets a package be called; releaseName what uname -r
// can say and what may stand in a path.
var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{1,120}$`)
	releaseName = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~_-]{0,63}$`)
)

// installed is a package as dpkg knows it.
type installed struct {
	Name, Version string
	// Status is dpkg's short form: "ii" is installed, "iF" half configured, "rc"
	// removed but for its settings.
	Status string
}

// present asks dpkg for packages by names or patterns. One that it does not know
// is not in the answer.
func (m Machine) present(ctx context.Context, patterns ...string) (map[string]installed, error) {
	argv := append([]string{"dpkg-query", "--show", "--showformat", `${Package}\t${Version}\t${db:Status-Abbrev}\n`}, patterns...)
	r, err := m.run(ctx, argv...)
	if err != nil {
		return nil, err
	}
	const someUnknown = 1
	if r.ExitCode > someUnknown {
		return nil, r.Check(run.Cmd{Name: argv[0], Args: argv[1:]})
	}
	return parsePresent(r.Stdout)
}

// parsePresent reads the answer of dpkg-query:
//
//	linux-image-6.1.0-9-lab	6.1.4-1	ii
//
// A line without version or with the status "un" is of a package that others
// only mention.
func parsePresent(b []byte) (map[string]installed, error) {
	out := map[string]installed{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		f := strings.Split(strings.TrimRight(line, " \n"), "\t")
		if len(f) != 3 {
			return nil, fmt.Errorf("read dpkg-query: line %d: %.80q", n, line)
		}
		if f[1] != "" && !strings.HasPrefix(f[2], "un") {
			out[f[0]] = installed{f[0], f[1], strings.TrimSpace(f[2])}
		}
	}
	return out, nil
}

// unpacked tells that a package is there at all, well configured or not.
func (i installed) unpacked() bool {
	return len(i.Status) > 1 && i.Status[1] != 'c' && i.Status[1] != 'n'
}

// install gives package files to one call of dpkg, so that the headers are
// there when the image's hooks run dkms. It is not ended by an interrupted run:
// dpkg leaves less behind when it comes to its end.
func (m Machine) install(ctx context.Context, debs []Deb) error {
	c := run.Cmd{Name: "dpkg", Timeout: longest, Env: []string{"DEBIAN_FRONTEND=noninteractive"}, Stream: m.Log}
	if m.Offline {
		c.Args = []string{"--root=" + string(m.Root)}
	}
	c.Args = append(c.Args, "--install")
	for _, d := range debs {
		c.Args = append(c.Args, d.Path)
	}
	_, err := m.Run.Checked(context.WithoutCancel(ctx), c)
	return err
}

// purge removes packages with all they brought, also half installed ones.
func (m Machine) purge(ctx context.Context, names []string) error {
	there, err := m.present(ctx, names...)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, ok := there[n]; return !ok })
	if len(names) == 0 {
		return nil
	}
	argv := append([]string{"dpkg", "--force-remove-reinstreq", "--purge"}, names...)
	if m.Offline {
		argv = append([]string{"chroot", string(m.Root)}, argv...)
	}
	c := run.Cmd{Name: argv[0], Args: argv[1:], Timeout: longest, Env: []string{"DEBIAN_FRONTEND=noninteractive"}, Stream: m.Log}
	_, err = m.Run.Checked(context.WithoutCancel(ctx), c)
	return err
}

// DKMS is a module that is compiled for each kernel.
type DKMS struct {
	Module string `json:"module"` // "zfs/2.1.11"
	// Release is the kernel that it is for, "" where it is only known.
	Release string `json:"release,omitempty"`
	State   string `json:"state"` // "added", "built", "installed"
}

// dkms lists the modules that dkms has; none where it is not installed.
func (m Machine) dkms(ctx context.Context) ([]DKMS, error) {
	r, err := m.run(ctx, "dkms", "status")
	switch {
	case errors.Is(err, cause.ErrNoData):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := r.Check(run.Cmd{Name: "dkms", Args: []string{"status"}}); err != nil {
		return nil, err
	}
	return parseDKMS(r.Stdout), nil
}

// parseDKMS reads the list, in the form of dkms 3 and in that of 2; what follows
// the state, as a warning, is left out.
//
//	zfs/2.1.11, 6.1.0-56-amd64, x86_64: installed
//	zfs, 2.0.3, 5.10.0-32-amd64, x86_64: installed
//	blktap/2.0.93: added
func parseDKMS(b []byte) []DKMS {
	var out []DKMS
	for line := range strings.Lines(string(b)) {
		what, state, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.Contains(what, ":") {
			continue
		}
		f := strings.Split(what, ", ")
		if !strings.Contains(f[0], "/") && len(f) > 1 {
			f = append([]string{f[0] + "/" + f[1]}, f[2:]...)
		}
		d := DKMS{Module: f[0]}
		d.State, _, _ = strings.Cut(state, " ")
		if len(f) > 1 {
			d.Release = f[1]
		}
		out = append(out, d)
	}
	return out
}

// lacking lists the modules that the kernel which works now has and the new one
// has not. Where nothing is known of the one that works, every module counts
// that is installed for some kernel.
func lacking(all []DKMS, works, release string) []string {
	have := func(r string) (names []string) {
		for _, d := range all {
			if d.State == "installed" && (r == "" || d.Release == r) && !slices.Contains(names, d.Module) {
				names = append(names, d.Module)
			}
		}
		return names
	}
	want := have(works)
	if len(want) == 0 {
		want = have("")
	}
	got := have(release)
	return slices.DeleteFunc(want, func(n string) bool { return slices.Contains(got, n) })
}

// isAuto tells that apt may remove a package by itself.
func (m Machine) isAuto(ctx context.Context, name string) (bool, error) {
	r, err := m.run(ctx, "apt-mark", "showauto", name)
	if errors.Is(err, cause.ErrNoData) {
		return false, nil
	}
	return err == nil && strings.TrimSpace(string(r.Stdout)) == name, err
}
