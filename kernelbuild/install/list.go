package install

import (
	"context"
	"errors"
	"slices"
	"strings"

	version "github.com/knqyf263/go-deb-version"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/kernelbuild"
)

// ListSchema is the version of List's JSON form.
const ListSchema = 1

// List is the kernels of a machine.
type List struct {
	Schema int `json:"schema"`
	// By is what starts the machine; "" could not be told.
	By Starter `json:"booted_by,omitempty"`
	// Why is how By was told, or why it was not.
	Why string `json:"why"`
	// Killed names a run that was killed and not put right yet.
	Killed  string   `json:"killed,omitempty"`
	Kernels []Kernel `json:"kernels"`
}

// Kernel is one that lies in /boot. What the machine's way of starting does not
// tell is absent.
type Kernel struct {
	Release string `json:"release"`
	// Package has its image, Version and Status are dpkg's; "" is none.
	Package string          `json:"package,omitempty"`
	Version string          `json:"version,omitempty"`
	Status  string          `json:"status,omitempty"`
	Running opt.Value[bool] `json:"running,omitzero"`
	Default opt.Value[bool] `json:"default,omitzero"`
	// Next tells that it starts at the next boot, and only then.
	Next opt.Value[bool] `json:"next_once,omitzero"`
	// Held tells that it stays the default when a newer one comes.
	Held bool `json:"held"`
	// Own tells that xtm installed it, Confirmed that it booted well then.
	Own       bool `json:"own"`
	Confirmed bool `json:"confirmed,omitempty"`
	// Tmem is what it takes to have tmem under it; absent where its configuration
	// is not there.
	Tmem opt.Value[kernelbuild.Way] `json:"tmem,omitzero"`
	// Number is its place as pygrub counts, for --entry; absent elsewhere.
	Number opt.Value[int] `json:"pygrub_entry,omitzero"`
}

// ReadList looks at all kernels, the newest first, and changes nothing.
func ReadList(ctx context.Context, m Machine, said Starter) (List, error) {
	l := List{Schema: ListSchema, Kernels: []Kernel{}}
	s, err := readState(m.Root)
	if err != nil {
		return l, err
	}
	if l.Killed, _, err = Killed(m.Root); err != nil {
		return l, err
	}
	known := said == "" && s.Hold != nil
	if known {
		said = s.Hold.By
	}
	b, err := m.probeBoot(said)
	if known {
		b.Why = "as when xtm installed its first kernel"
	}
	if refusal, refused := errors.AsType[*cause.RefusalError](err); refused {
		l.Why = refusal.Error()
	} else if err != nil {
		return l, err
	} else {
		l.By, l.Why = b.By, b.Why
	}
	names, err := m.Root.ReadDir("/boot")
	if err != nil && cause.Of(err) != cause.NoData {
		return l, err
	}
	there, err := m.present(ctx, imagePrefix+"*")
	if err != nil && cause.Of(err) != cause.NoData {
		return l, err
	}
	for _, n := range names {
		release := releaseOf(n)
		if release == "" {
			continue
		}
		k := Kernel{Release: release}
		if i, ok := there[imagePrefix+release]; ok {
			k.Package, k.Version, k.Status = i.Name, i.Version, i.Status
		}
		if b.Running != "" {
			k.Running = opt.Of(release == b.Running)
		}
		if own, ok := s.find(release); ok {
			k.Own, k.Confirmed = true, own.Confirmed
		}
		if c, _, err := kernelbuild.FindConfig(m.Root, release, release == b.Running); err == nil {
			if sup, err := kernelbuild.Check(kernelbuild.Installed{Release: release, Config: c}); err == nil {
				k.Tmem = opt.Of(sup.Way)
			}
		}
		if l.By == ByGRUB || l.By == ByPygrub {
			k.boots(&b)
		}
		l.Kernels = append(l.Kernels, k)
	}
	slices.SortStableFunc(l.Kernels, func(a, b Kernel) int { return compareReleases(b.Release, a.Release) })
	return l, nil
}

// boots tells what the menu says of a kernel.
func (k *Kernel) boots(b *boot) {
	usual, err := b.usual()
	if err == nil {
		k.Default = opt.Of(linux(usual) == k.Release)
		if fixed, err := b.fixed(usual); err == nil && linux(usual) == k.Release {
			p, err := b.pin(fixed, false, nil)
			k.Held = err == nil && (b.By == ByPygrub && usual.ID == ownEntry || b.By == ByGRUB && p.nothing())
		}
	}
	if b.By == ByPygrub {
		if e, ok := b.entryOf(k.Release, ""); ok {
			k.Number = opt.Of(b.number(e))
		}
		return
	}
	if next, err := b.next(); err == nil && usual.Path != "" {
		k.Next = opt.Of(b.Env["next_entry"] != "" && linux(next) == k.Release)
	}
}

// compareReleases orders as GRUB does, and dpkg.
func compareReleases(a, b string) int {
	va, err := version.NewVersion(a)
	vb, err2 := version.NewVersion(b)
	if err != nil || err2 != nil {
		return strings.Compare(a, b)
	}
	return va.Compare(vb)
}
