package tune

import (
	"errors"
	"fmt"
	"slices"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Ask is a guest that is asked to give memory back.
type Ask struct {
	// Name is a name, number or uuid, To the size that it is to have.
	Name string
	To   units.MiB
}

// GuestRoom is what a guest has, and could give.
type GuestRoom struct {
	Ref
	Current opt.Value[units.KiB] `json:"current_kib,omitzero"`
	// Shrinks tells that it stands below what the toolstack gave it, so that it
	// balloons itself: it gives back what its processes let go of.
	Shrinks bool `json:"shrinks_itself"`
	// Says is what its agent says it could use without swapping.
	Says     opt.Value[units.KiB] `json:"available_kib,omitzero"`
	SwapFree opt.Value[units.KiB] `json:"swap_free_kib,omitzero"`
	// Freeze tells that it is to be frozen; Why says why not.
	Freeze bool   `json:"freeze"`
	Why    string `json:"why,omitempty"`
	// AskTo is what it is asked to go down to; 0 is not asked.
	AskTo units.KiB `json:"ask_to_kib,omitempty"`
}

// Room is the account of a host's memory for a new guest.
type Room struct {
	// Want is what was asked for, Need that and what Xen takes beside it.
	Want units.KiB `json:"want_kib"`
	Need units.KiB `json:"need_kib"`
	// Free is what nobody has or has claimed, Freeable what tmem can give back.
	Free     units.KiB `json:"free_kib"`
	Freeable units.KiB `json:"freeable_kib"`
	// Asked is what the guests that are asked would give back.
	Asked units.KiB `json:"asked_kib"`
	// Dom0 is left as it is.
	Dom0      opt.Value[units.KiB] `json:"dom0_kib,omitzero"`
	Guests    []GuestRoom          `json:"guests"`
	Toolstack Toolstack            `json:"toolstack"`
	Notes     []finding.Finding    `json:"notes,omitempty"`
}

// Lacks is what there is not, even when tmem and the guests that are asked give
// all they can; 0 is enough.
func (r Room) Lacks() units.KiB { return max(0, r.Need-r.Free-r.Freeable-r.Asked) }

// Unneeded tells why nothing need be done before xl create; "" is that it must.
func (r Room) Unneeded() string {
	if r.Toolstack.Claims && r.Need <= r.Free+r.Freeable {
		return fmt.Sprintf("Xen takes pages back from tmem by itself while it builds the guest (%s)", r.Toolstack.Seen)
	}
	return ""
}

const (
	// leastSwap is the free swap below which a guest is not frozen: while it is,
	// all that it swaps out goes there.
	leastSwap units.MiB = 32
	// shrunk is how far below its target a guest has shrunk itself.
	shrunk = 0.95
)

// overhead is what Xen takes for a domain beside its memory: page tables, shadow,
// the domain itself. xl adds 8 KiB a MiB and 1 MiB a processor for shadow memory
// alone (libxl_get_required_shadow_memory).
func overhead(want units.KiB) units.KiB { return want/64 + units.MiB(8).KiB() }

// PlanRoom makes the account. It is an error where a guest that is asked is not
// there, or would be asked to grow.
func (s Seen) PlanRoom(want units.MiB, asks []Ask, t Toolstack) (Room, error) {
	h := s.Snapshot.Host
	free, ok := h.Free.Get()
	if !ok {
		return Room{}, errors.New("the host's free memory could not be read")
	}
	r := Room{Want: want.KiB(), Need: want.KiB() + overhead(want.KiB()), Free: max(0, free-h.Outstanding.Or(0)), Toolstack: t, Guests: []GuestRoom{}}
	r.Freeable = h.Freeable.Or(s.freeable())
	for _, d := range s.Snapshot.Domains {
		if d.IsDom0() {
			r.Dom0 = d.Current
			continue
		}
		id, ok := d.ID.Get()
		if !ok || d.State.Dying {
			continue
		}
		g := s.guestRoom(d, id)
		if d.State.Shutdown {
			g.Shrinks = false
		}
		r.Guests = append(r.Guests, g)
	}
	for _, a := range asks {
		if err := r.ask(a); err != nil {
			return r, err
		}
	}
	r.noteFrozen(s)
	return r, nil
}

// freeable is the estimate where Xen does not say: ephemeral pages and tmem's
// free list.
func (s Seen) freeable() units.KiB {
	list, _ := s.Snapshot.Tmem.Get()
	host, _ := list.Host.Get()
	return units.Pages(host.Ephemeral.Now.Or(0) + host.FreeListPages.Or(0)).KiB()
}

func (s Seen) guestRoom(d xen.Domain, id units.DomID) GuestRoom {
	g := GuestRoom{Ref: Ref{ID: id, UUID: d.UUID, Name: d.Name}, Current: d.Current}
	if says, ok := d.Guest.Get(); ok {
		g.Says, g.SwapFree = says.Available, says.SwapFree
	}
	c, client := find(s.Domains, id)
	current, target := d.Current.Or(0), d.Target.Or(0)
	g.Shrinks = client && d.Target.Has() && float64(current) < shrunk*float64(target)
	swap, known := g.SwapFree.Get()
	switch why, busy := c.Busy(); {
	case !client:
		g.Why = "it is no client of tmem"
	case busy:
		g.Why = why
	case c.Frozen:
		g.Why = "it is frozen already"
	case known && swap < max(leastSwap.KiB(), current/8):
		g.Why = fmt.Sprintf("it has %d MiB of free swap only, which is all that it can swap to while it is frozen", swap/1024)
	default:
		g.Freeze = true
	}
	return g
}

// ask adds a guest that is to give memory back.
func (r *Room) ask(a Ask) error {
	i := slices.IndexFunc(r.Guests, func(g GuestRoom) bool {
		return g.Name == a.Name || g.UUID != "" && g.UUID == a.Name || fmt.Sprint(g.ID) == a.Name
	})
	if i < 0 {
		return fmt.Errorf("no guest is called %.80q", a.Name)
	}
	g := &r.Guests[i]
	current, ok := g.Current.Get()
	if !ok || a.To.KiB() >= current {
		return fmt.Errorf("%s has %d MiB: asked for %d it would give nothing back", g.Ref, current/1024, a.To)
	}
	r.Asked += current - a.To.KiB()
	g.AskTo = a.To.KiB()
	return nil
}

// noteFrozen says what freezing does, and who is not frozen.
func (r *Room) noteFrozen(s Seen) {
	p := Plan{}
	for _, g := range r.Guests {
		d, client := find(s.Domains, g.ID)
		switch {
		case client && !g.Freeze:
			p.note("not-frozen", finding.Warning, g.String(), g.Why, "It may take of the room while it is made.")
		case client && d.Persistent.Has() && !g.SwapFree.Has():
			p.note("swap-not-known", finding.Note, g.String(), "how much free swap it has is not known in Dom0; while it is frozen what it swaps out goes to its disk", "")
		}
	}
	r.Notes = p.Notes
}
