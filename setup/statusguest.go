package setup

import (
	"context"

	"xtm/guest"
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
	installed, err := files.Exists(guardUnit)
	switch {
	case err != nil && !isMissing(err):
		out.add("guest-guard", guardUnit, finding.CouldNotTell, err.Error(), "")
	case installed:
		out.add("guest-guard", guardUnit, finding.Good, "the guard proves at each boot that a pool is there before the guest shrinks", "")
	default:
		out.add("guest-guard", guardUnit, finding.Note, "no guard is installed that proves at boot that a pool is there", "", "xtm enable-tmem")
	}
	out.byXTM(files)
	return out, nil
}
