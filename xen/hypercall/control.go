package hypercall

import (
	"context"
	"fmt"

	"xtm/internal/cause"
	"xtm/internal/units"
)

// Client is a tmem client's record as Xen 4.8 to 4.12 keep it.
type Client struct {
	Weight           uint32
	Compress, Frozen bool
	// Migrating is set while the domain is saved or migrated, which freezes it.
	Migrating bool
	Pools     int
}

// Freeze lets a domain put no new pages; what it has stays and can be got.
// A domain that never used tmem is cause.ErrNoData, a Xen without tmem
// cause.ErrNotSupported; from 4.6 on one where tmem is off has no client either.
func (h *Hypervisor) Freeze(ctx context.Context, id units.DomID) error {
	return h.freeze(ctx, id, true)
}

// Thaw undoes Freeze. It errs as Freeze does.
func (h *Hypervisor) Thaw(ctx context.Context, id units.DomID) error {
	return h.freeze(ctx, id, false)
}

func (h *Hypervisor) freeze(ctx context.Context, id units.DomID, frozen bool) error {
	if err := h.oneClient(id); err != nil {
		return err
	}
	verb := "thaw"
	if frozen {
		verb = "freeze"
	}
	r := h.tmem.freeze(id, frozen)
	_, err := h.call(ctx, fmt.Sprintf("%s tmem of domain %d", verb, id), &r, clientReasons...)
	return err
}

// SetWeight sets a domain's share of ephemeral memory under pressure; 0, the
// default, is never over its share. It errs as Freeze does.
func (h *Hypervisor) SetWeight(ctx context.Context, id units.DomID, weight uint32) error {
	return h.set(ctx, id, "weight",
		func(t early) Request { return t.setWeight(id, weight) },
		func(c *tmemClient48) { c.Weight = weight })
}

// SetCompress switches compression of the domain's later puts. It errs as
// Freeze does. Up to 4.7 a Xen that was booted with tmem_dedup does nothing and
// says nothing: read the listing afterwards.
func (h *Hypervisor) SetCompress(ctx context.Context, id units.DomID, on bool) error {
	return h.set(ctx, id, "compression",
		func(t early) Request { return t.setCompress(id, on) },
		func(c *tmemClient48) {
			c.Flags &^= clientCompress
			if on {
				c.Flags |= clientCompress
			}
		})
}

// set changes one setting. From 4.8 on Xen takes weight and compression only
// together, so that the other is read first.
func (h *Hypervisor) set(ctx context.Context, id units.DomID, setting string, old func(early) Request, change func(*tmemClient48)) error {
	if err := h.oneClient(id); err != nil {
		return err
	}
	what := fmt.Sprintf("set tmem %s of domain %d", setting, id)
	switch t := h.tmem.(type) {
	case early:
		r := old(t)
		_, err := h.call(ctx, what, &r, clientReasons...)
		return err
	case late:
		c, err := h.record(ctx, t, id)
		if err != nil {
			return err
		}
		change(&c)
		r := t.setClient(id, &c)
		_, err = h.call(ctx, what, &r, clientReasons...)
		return err
	default:
		return h.noTmem()
	}
}

// Client reads a domain's record. Before 4.8 there is none, which is
// cause.ErrNotSupported: the listing has the settings there. Of a domain that
// never used tmem Xen returns an empty record, which cannot be told from a
// client without pools.
func (h *Hypervisor) Client(ctx context.Context, id units.DomID) (Client, error) {
	if err := h.oneClient(id); err != nil {
		return Client{}, err
	}
	t, ok := h.tmem.(late)
	if !ok {
		return Client{}, fmt.Errorf("read the tmem record of domain %d: Xen has such records from 4.8 on, this is %s: %w",
			id, h.Version, cause.ErrNotSupported)
	}
	c, err := h.record(ctx, t, id)
	return Client{
		Weight: c.Weight, Pools: int(c.NrPools), Compress: c.Flags&clientCompress != 0,
		Frozen: c.Flags&clientFrozen != 0, Migrating: c.Flags&clientMigrating != 0,
	}, err
}

func (h *Hypervisor) record(ctx context.Context, t late, id units.DomID) (tmemClient48, error) {
	var c tmemClient48
	r := t.getClient(id, &c)
	_, err := h.call(ctx, fmt.Sprintf("read the tmem record of domain %d", id), &r, clientReasons...)
	return c, err
}

// maxFlush is the most that one call can flush: the answer is a C int of KiB.
const maxFlush = units.KiB(1<<31 - 4)

// Flush takes back ephemeral pages of all domains, the least valuable first, and
// returns how much it got, which is less where there is no more. It takes whole
// pages. Xen serves no other tmem call meanwhile. A Xen without tmem, or up to
// 4.5 one that was booted without it, is cause.ErrNotSupported.
func (h *Hypervisor) Flush(ctx context.Context, size units.KiB) (units.KiB, error) {
	if err := h.noTmem(); err != nil {
		return 0, err
	}
	if size <= 0 || size > maxFlush {
		return 0, fmt.Errorf("flush %d KiB of tmem: want 1 to %d", size, maxFlush)
	}
	r := h.tmem.flush(uint32(size))
	a, err := h.call(ctx, fmt.Sprintf("flush %d KiB of tmem", size), &r, tmemReasons...)
	if err != nil {
		return 0, err
	}
	return units.KiB(a.Value), nil
}

// oneClient keeps the numbers that stand for all domains, or for none, from
// being used: a setting for all would reset the other settings of each.
func (h *Hypervisor) oneClient(id units.DomID) error {
	if id > lastDomID {
		return fmt.Errorf("change tmem of domain %d: a domain's number is at most %d", id, lastDomID)
	}
	return h.noTmem()
}
