package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"xtm/internal/opt"
	"xtm/internal/role"
	"xtm/setup"
	"xtm/xen"
)

func enableCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "enable-tmem",
		Usage:     "switch tmem on, on a host or in a guest, provably, or change nothing",
		ArgsUsage: noArgument,
		Description: `Run it as root, in Dom0 and then in each guest. It shows what it will change as a diff,
asks, backs the files up, has the boot menu made again and proves the words in it; when a
step fails, all is restored. A guest is not allowed to shrink itself before it is proved that
its host has tmem, which the kernel alone does not see.

   xtm enable-tmem --dry-run           what it would change
   xtm enable-tmem                     do it, with questions
   xtm enable-tmem --yes --guests-trusted --dom0-mem 2G     on a host
   xtm enable-tmem --yes --now                              in a guest, without a reboot
   xtm enable-tmem --root /mnt         a system that is mounted there`,
		Flags: append(setupFlags(),
			&cli.BoolFlag{Name: "guests-trusted", Usage: "affirm that every guest of this host is trusted"},
			&cli.BoolFlag{Name: "accept-risk", Usage: "go on where guests can take over the host through tmem (XSA-15)"},
			&cli.BoolFlag{Name: "compress", Usage: "compress pages: about twice as many, for ten times the CPU time"},
			&cli.BoolFlag{Name: "dedup", Usage: "keep equal ephemeral pages once (Xen 4.0.1 to 4.7)"},
			&cli.StringSliceFlag{Name: "dom0-mem", Usage: "fix Dom0's memory at this `SIZE`, such as 2G"},
			&cli.StringFlag{Name: "xen-version", Usage: "the `RELEASE` of an image that does not tell its own"},
			&cli.BoolFlag{Name: "now", Usage: "in a guest: prove and switch on at once, too"},
			&cli.BoolFlag{Name: "minimal", Usage: "in a guest: write no word that its kernel does not read"},
			&cli.BoolFlag{Name: "unguarded", Usage: "in a guest: let it shrink from boot on, tmem in the host or not"},
			&cli.BoolFlag{Name: "no-swap", Usage: "in a guest: go on without a swap area"},
			&cli.BoolFlag{Name: "create-swap", Usage: "in a guest: make a swap file, as large as its maximum memory"},
			&cli.StringFlag{Name: "swap-size", Usage: "with --create-swap: this `SIZE` instead, such as 2G"},
		),
		Action: func(c *cli.Context) error {
			o, err := hostOptionsOf(c)
			if err != nil {
				return err
			}
			s, err := openSetup(c, env, false)
			if err != nil {
				return err
			}
			if s.role == role.Guest {
				return s.enableGuest(c.Context, c, env)
			}
			for _, name := range guestFlags {
				if c.IsSet(name) {
					return &usageError{msg: "--" + name + " is for guests, and this is a host"}
				}
			}
			return s.enableHost(c.Context, o, c.Bool("guests-trusted"))
		},
	}
}

func hostOptionsOf(c *cli.Context) (setup.HostOptions, error) {
	o := setup.HostOptions{Compress: c.Bool("compress"), Dedup: c.Bool("dedup"), AcceptRisk: c.Bool("accept-risk")}
	if text := c.String("xen-version"); text != "" {
		v, err := xen.ParseVersion(text)
		if err != nil {
			return o, &usageError{msg: err.Error()}
		}
		o.XenVersion = v
	}
	sizes := c.StringSlice("dom0-mem")
	if len(sizes) == 0 {
		return o, nil
	}
	size, err := setup.ParseSize(sizes[0])
	if err != nil {
		return o, &usageError{msg: "--dom0-mem: " + err.Error()}
	}
	if len(sizes) > 2 || slices.ContainsFunc(sizes, func(s string) bool { return s != sizes[0] }) {
		return o, &usageError{msg: "--dom0-mem wants one size: " + strings.Join(sizes, ", ")}
	}
	o.Dom0Mem, o.Dom0MemSure = opt.Of(size), len(sizes) == 2
	return o, nil
}

// enableHost plans, shows, asks and applies.
func (s *setupRun) enableHost(ctx context.Context, o setup.HostOptions, trusted bool) error {
	if err := s.recover(ctx); err != nil {
		return err
	}
	host, err := setup.ProbeHost(ctx, s.machine)
	if err != nil {
		return explainRefusal(err)
	}
	plan, err := setup.PlanHost(host, o)
	if err != nil {
		return explainRefusal(err)
	}
	done, err := s.show(plan, "tmem is on at the next boot already: nothing was changed")
	if done || err != nil {
		return err
	}
	if err := s.affirm(ctx, plan.Trust, trusted, "--guests-trusted"); err != nil {
		return err
	}
	return s.apply(ctx, plan, "tmem is on from the next boot; in each guest then: xtm status")
}
