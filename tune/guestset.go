package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/statedir"
)

// guestRecord is what xtm changed in this guest, so that it can be undone.
type guestRecord struct {
	Schema int `json:"schema"`
	// Before are the values that were there before xtm's first change, Lasting
	// those that are set at each boot, by name.
	Before  map[string]uint64 `json:"before"`
	Lasting map[string]uint64 `json:"lasting,omitempty"`
}

const (
	guestRecordFile   = statedir.Path + "/tune-guest.json"
	guestRecordSchema = 1
)

func readGuestRecord(files hostfs.Files) (guestRecord, error) {
	r := guestRecord{Schema: guestRecordSchema, Before: map[string]uint64{}, Lasting: map[string]uint64{}}
	b, err := files.ReadFile(guestRecordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	return parseGuestRecord(b)
}

// parseGuestRecord reads the record:
//
//	{"schema": 1, "before": {"selfballoon/selfballoon_interval": 5}, "lasting": {"selfballoon/selfballoon_interval": 10}}
func parseGuestRecord(b []byte) (guestRecord, error) {
	r := guestRecord{}
	if err := statedir.Parse(b, guestRecordSchema, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", guestRecordFile, err)
	}
	for _, m := range []*map[string]uint64{&r.Before, &r.Lasting} {
		if *m == nil {
			*m = map[string]uint64{}
		}
		for name := range *m {
			if !slices.ContainsFunc(guest.Tunables(guest.Version{Major: 4, Minor: 19}), func(t guest.Tunable) bool { return t.Name == name }) {
				return r, fmt.Errorf("read %s: nothing is called %.80q", guestRecordFile, name)
			}
		}
	}
	return r, nil
}

func (r guestRecord) write(root hostfs.Root) error {
	return statedir.Keep(root, guestRecordFile, r)
}

// GuestResult is what came of a guest's plan.
type GuestResult struct {
	Done []GuestChange `json:"done"`
	// Lasting is the file that sets them at boot; "" is none.
	Lasting string `json:"lasting,omitempty"`
}

// ApplyGuest writes a plan's values and reads them back; where persist is set it
// also has them set at each boot. When something fails the values before are
// written back.
func ApplyGuest(root hostfs.Root, p GuestPlan, persist bool) (GuestResult, error) {
	var r GuestResult
	rec, err := readGuestRecord(root)
	if err != nil {
		return r, err
	}
	where := place{}
	if persist {
		if where, err = findPlace(root); err != nil {
			return r, err
		}
	}
	old := guestRecord{guestRecordSchema, maps.Clone(rec.Before), maps.Clone(rec.Lasting)}
	for _, c := range p.Changes {
		if _, known := rec.Before[c.Tunable.Name]; !known {
			rec.Before[c.Tunable.Name] = c.From
		}
		if persist && c.Lasts {
			rec.Lasting[c.Tunable.Name] = c.To
		}
	}
	// The record comes first: what is on it can be undone.
	if err := rec.write(root); err != nil {
		return r, err
	}
	err = r.write(root, p)
	if err == nil && persist && len(rec.Lasting) > 0 {
		r.Lasting = where.path
		err = where.write(root, rec.Lasting)
	}
	if err == nil {
		return r, nil
	}
	for _, c := range slices.Backward(r.Done) {
		if errBack := guest.SetTunable(root, c.Tunable.Name, c.From); errBack != nil {
			return r, errors.Join(err, errBack, cause.ErrNotRestored)
		}
	}
	r = GuestResult{}
	if len(old.Before) == 0 {
		return r, errors.Join(err, statedir.Forget(root, guestRecordFile))
	}
	return r, errors.Join(err, old.write(root))
}

// Settled tells that a plan is carried out already.
func Settled(root hostfs.Root, p GuestPlan, persist bool) (bool, error) {
	rec, err := readGuestRecord(root)
	if err != nil {
		return false, err
	}
	for _, c := range p.Changes {
		if value, lasts := rec.Lasting[c.Tunable.Name]; c.From != c.To || persist && c.Lasts && (!lasts || value != c.To) {
			return false, nil
		}
	}
	if !persist || len(rec.Lasting) == 0 {
		return true, nil
	}
	k, err := findPlace(root)
	if err != nil {
		return false, err
	}
	old, err := root.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && k.text(string(old), rec.Lasting) == string(old), err
}

func (r *GuestResult) write(root hostfs.Root, p GuestPlan) error {
	for _, c := range p.Changes {
		if c.From == c.To {
			continue
		}
		if err := guest.SetTunable(root, c.Tunable.Name, c.To); err != nil {
			return err
		}
		r.Done = append(r.Done, c)
		b, err := guest.ReadBalloon(root)
		if err != nil {
			return err
		}
		// The balloon moves its own target while selfballooning is on.
		if got := b.Settings[c.Tunable.Name]; got != c.To && (c.Tunable.Name != guest.TargetKiB || !b.Shrinks()) {
			return fmt.Errorf("set %s to %d: %w: it is %d", short(c.Tunable.Name), c.To, ErrSilent, got)
		}
	}
	return nil
}

// Undone is what UndoGuest did.
type Undone struct {
	Back []GuestChange `json:"back"`
	// Stays are those whose old value the kernel does not take.
	Stays []GuestChange `json:"stays,omitempty"`
	// Removed are the files, or parts of files, that set them at boot.
	Removed []string `json:"removed,omitempty"`
}

// UndoGuest writes back what was there before xtm's first change, and takes away
// what sets values at boot. changes tells what it would do, when dry.
func UndoGuest(root hostfs.Root, s guest.State, dry bool) (Undone, error) {
	var u Undone
	rec, err := readGuestRecord(root)
	if err != nil {
		return u, err
	}
	release, _ := s.Release.Get()
	b, _ := s.Balloon.Get()
	for _, t := range guest.Tunables(release.Version) {
		before, known := rec.Before[t.Name]
		now, there := b.Settings[t.Name]
		if !known || !there || now == before {
			continue
		}
		c := GuestChange{Tunable: t, From: now, To: before}
		switch {
		case t.Check(strconv.FormatUint(before, 10)) != nil:
			u.Stays = append(u.Stays, c)
			continue
		case t.Name == guest.Selfballoon && before == 1:
			u.Stays = append(u.Stays, c) // that is for xtm guard, which proves the pool
			continue
		case !dry:
			if err := guest.SetTunable(root, t.Name, before); err != nil {
				return u, err
			}
		}
		u.Back = append(u.Back, c)
	}
	if u.Removed, err = removeLasting(root, dry); err != nil || dry {
		return u, err
	}
	return u, statedir.Forget(root, guestRecordFile)
}
