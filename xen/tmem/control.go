package tmem

import (
	"context"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// Settings are what a toolstack can set of one tmem client.
type Settings struct {
	Weight   uint32 `json:"weight"`
	Compress bool   `json:"compress"`
	Frozen   bool   `json:"frozen"`
	// Migrating tells that the domain is migrated, which freezes it. It is absent
	// where nothing tells: on Xen up to 4.7, and through xl on any.
	Migrating opt.Value[bool] `json:"migrating,omitzero"`
}

// Control changes the settings of one domain. None of its implementations takes
// the number that stands for all: a setting for all resets the others of each. A
// domain that never used tmem is cause.ErrNoData, a Xen without tmem
// cause.ErrNotSupported. That a call went well is no proof: see SettingsReader.
type Control interface {
	Freeze(ctx context.Context, id units.DomID) error
	Thaw(ctx context.Context, id units.DomID) error
	SetWeight(ctx context.Context, id units.DomID, weight uint32) error
	SetCompress(ctx context.Context, id units.DomID, on bool) error
}

// SettingsReader reads what is set. It errs as Control does.
type SettingsReader interface {
	Settings(ctx context.Context, id units.DomID) (Settings, error)
}

// Flusher takes ephemeral pages back, of all domains together. Only the
// hypercall can: xl has no command for it in any release.
type Flusher interface {
	Flush(ctx context.Context, size units.KiB) (units.KiB, error)
	Freeable(ctx context.Context) (units.MiB, error)
}

// SettingsOf are those that a listing shows of a client. Xen prints a weight
// above 2,147,483,647 as a negative number.
func SettingsOf(c xen.TmemClient) Settings {
	return Settings{
		Weight: uint32(c.Weight.Or(0)), Compress: c.Compress.Or(0) == 1, Frozen: c.Frozen.Or(0) == 1, //nolint:gosec // as above
	}
}
