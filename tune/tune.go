// Package tune changes what can be changed of tmem while a host runs: the
// settings of domains, freezes that end by themselves, room for a new guest, and
// in guests the tunables of selfballooning.
//
// What is to be done is a plan: calls, each with its reason and what undoes it,
// made of values alone. Another part issues the calls and reads back what came
// of each, for old toolstacks fail in silence.
package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Source reads the host.
type Source interface {
	Snapshot(ctx context.Context) (xen.Snapshot, error)
}

// Control changes one domain and reads back.
type Control interface {
	tmem.Control
	tmem.SettingsReader
}

// Host is a running Xen that is tuned.
type Host struct {
	Source  Source
	Control Control
	// Flusher is nil where pages cannot be taken back: only the hypercall can.
	Flusher tmem.Flusher
	// Way is how it is changed: "hypercall" or "xl".
	Way string
}

// Ref names a domain: by uuid across a reboot of it, by number within Xen.
type Ref struct {
	ID   units.DomID `json:"domid"`
	UUID string      `json:"uuid,omitempty"`
	Name string      `json:"name,omitempty"`
}

// String is "web1 (domain 3)".
func (r Ref) String() string {
	if r.Name == "" {
		return fmt.Sprintf("domain %d", r.ID)
	}
	return fmt.Sprintf("%s (domain %d)", r.Name, r.ID)
}

// Same tells whether the other is still this domain: numbers are used again
// after Xen's restart, and a rebooted guest keeps its uuid under another.
func (r Ref) Same(o Ref) bool {
	return r.ID == o.ID && (r.UUID == "" || o.UUID == "" || r.UUID == o.UUID)
}

// Domain is a tmem client as it is set now.
type Domain struct {
	Ref
	tmem.Settings
	State xen.State `json:"state"`
	// Hold is xtm's own freeze of it.
	Hold *Hold `json:"hold,omitempty"`
	// Ephemeral and Persistent are its pages in tmem.
	Ephemeral  xen.Count `json:"ephemeral_pages,omitzero"`
	Persistent xen.Count `json:"persistent_pages,omitzero"`
}

// Seen is a host with its tmem clients.
type Seen struct {
	Snapshot xen.Snapshot
	Domains  []Domain
}

// Look reads the host and what is set for each tmem client. holds are xtm's own
// freezes. The error is cause.ErrNotSupported where there is no tmem to tune.
func (h Host) Look(ctx context.Context, holds []Hold) (Seen, error) {
	snap, err := h.Source.Snapshot(ctx)
	if err != nil {
		return Seen{}, err
	}
	seen := Seen{Snapshot: snap}
	list, ok := snap.Tmem.Get()
	if !ok {
		return seen, noListing(snap)
	}
	for _, c := range list.Clients {
		d := Domain{Ref: Ref{ID: c.ID}, Settings: tmem.SettingsOf(c), Ephemeral: c.Ephemeral.Now}
		for _, p := range c.Pools {
			if n, ok := p.Pages.Now.Get(); ok && p.Persistent {
				d.Persistent = opt.Of(d.Persistent.Or(0) + n)
			}
		}
		if x, ok := domainOf(snap, c.ID); ok {
			d.UUID, d.Name, d.State = x.UUID, x.Name, x.State
		}
		for i := range holds {
			if holds[i].Domain.Same(d.Ref) {
				d.Hold = &holds[i]
			}
		}
		if h.Way == hypercallWay {
			s, err := h.Control.Settings(ctx, c.ID)
			if errors.Is(err, cause.ErrNoData) {
				continue // it went in between
			}
			if err != nil {
				return seen, err
			}
			d.Settings = s
		}
		seen.Domains = append(seen.Domains, d)
	}
	return seen, nil
}

// hypercallWay is the Way in which the flag of a migration can be read.
const hypercallWay = "hypercall"

func noListing(snap xen.Snapshot) error {
	if s := snap.TmemState; s.Answer != xen.TmemOn && s.Answer != xen.TmemUnknown {
		return fmt.Errorf("there is no tmem to tune: %s: %w", s.Evidence, cause.ErrNotSupported)
	}
	for _, g := range snap.Gaps {
		if g.What == "tmem listing" {
			return fmt.Errorf("the tmem clients could not be read: %s", g.Why)
		}
	}
	return errors.New("the tmem clients could not be read")
}

func domainOf(snap xen.Snapshot, id units.DomID) (xen.Domain, bool) {
	i := slices.IndexFunc(snap.Domains, func(d xen.Domain) bool { return d.ID == opt.Of(id) })
	if i < 0 {
		return xen.Domain{}, false
	}
	return snap.Domains[i], true
}

// Busy tells why a domain must be left alone: it is saved or migrated, for which
// Xen freezes it. Thawed then it would change what is being copied.
//
// From 4.8 on Xen has a flag for it, which the hypercall reads. Elsewhere any
// freeze that is not xtm's may be a migration. A save to a file sets no flag in
// any release, but has the domain suspended.
func (d Domain) Busy() (why string, busy bool) {
	migrating, known := d.Migrating.Get()
	switch {
	case migrating:
		return "it is being migrated", true
	case d.Frozen && d.State.Shutdown:
		return "it is frozen and suspended, so it is being saved", true
	case !known && d.Frozen && d.Hold == nil:
		return "it is frozen, and not by xtm: here that looks the same as being saved or migrated", true
	}
	return "", false
}

func find(domains []Domain, id units.DomID) (Domain, bool) {
	i := slices.IndexFunc(domains, func(d Domain) bool { return d.ID == id })
	if i < 0 {
		return Domain{}, false
	}
	return domains[i], true
}
