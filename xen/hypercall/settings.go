package hypercall

import (
	"context"
	"fmt"
	"slices"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

var (
	_ tmem.Control        = (*Hypervisor)(nil)
	_ tmem.SettingsReader = (*Hypervisor)(nil)
	_ tmem.Flusher        = (*Hypervisor)(nil)
)

// Settings reads what is set for a domain: from the listing, which alone tells a
// client from none, and from 4.8 on from its record, which alone tells whether
// it is migrated. It errs as Freeze does.
func (h *Hypervisor) Settings(ctx context.Context, id units.DomID) (tmem.Settings, error) {
	if err := h.oneClient(id); err != nil {
		return tmem.Settings{}, err
	}
	l, _, err := h.Listing(ctx, false)
	if err != nil {
		return tmem.Settings{}, err
	}
	i := slices.IndexFunc(l.Clients, func(c xen.TmemClient) bool { return c.ID == id })
	if i < 0 {
		return tmem.Settings{}, fmt.Errorf("read the tmem settings of domain %d: %s: %w", id, noClient, cause.ErrNoData)
	}
	s := tmem.SettingsOf(l.Clients[i])
	if _, ok := h.tmem.(late); ok {
		c, err := h.Client(ctx, id)
		if err != nil {
			return s, err
		}
		s.Migrating = opt.Of(c.Migrating)
	}
	return s, nil
}
