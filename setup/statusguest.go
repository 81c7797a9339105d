package setup

import (
	"context"
	"errors"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/role"
)

// GuestStatus looks at a guest, link by link. With a live one it proves whether
// a pool stands behind it, which reads a file and writes nothing; without, files
// are of a capture.
func GuestStatus(ctx context.Context, files hostfs.Files, live *Guest) (Status, error) {
	out := Status{Schema: StatusSchema, Role: role.Guest}
	s := guest.Read(files, nil)
	if live != nil {
		s = guest.Read(files, live.BlockSize)
		if registered, _ := s.Registered(guest.Cleancache); registered == guest.Yes {
			p, err := guest.Prove(ctx, live.Proof, live.Choose(ctx, s.Filesys.Or(nil)))
			if err != nil {
				return out, err
			}
			s.Proof = opt.Of(p)
		}
	}
	out.Findings = guest.Chain(s)
	if answer, _ := s.Possible(); answer == guest.No {
		out.Impossible, out.Ways = true, GuestWays(s)
		return out, nil
	}
	if p, ok := s.Proof.Get(); ok {
		v := finding.Bad
		switch p.Outcome {
		case guest.Proved:
			v = finding.Good
		case guest.Unclear, guest.NoHits:
			v = finding.CouldNotTell
		}
		out.add("guest-proof", p.File, v, p.Why, "")
	}
	out.guard(files)
	out.byXTM(files)
	return out, nil
}

// guard is whether a guard runs at boot.
func (s *Status) guard(files hostfs.Files) {
	const check = "guest-guard"
	var failed error
	there := func(p string) bool {
		found, err := files.Exists(p)
		if err != nil && cause.Of(err) != cause.NoData {
			failed = err
		}
		return found
	}
	unit, script, at := there(guardUnit), there(initScript), guardUnit
	if script {
		at = initScript
	}
	starts, err := linked(files)
	switch err := errors.Join(failed, err); {
	case err != nil:
		s.add(check, at, finding.CouldNotTell, err.Error(), "")
	case script && !unit && !starts:
		s.add(check, at, finding.Warning, "the guard is there, and no runlevel starts it", "enter it again:", "xtm disable-tmem", "xtm enable-tmem")
	case script || unit:
		s.add(check, at, finding.Good, "the guard proves at each boot that a pool is there before the guest shrinks", "")
	default:
		s.add(check, "", finding.Note, "no guard is installed that proves at boot that a pool is there", "", "xtm enable-tmem")
	}
}
