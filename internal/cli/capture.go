package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"xtm/capture"
	"xtm/hwprofile"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/xen/hypercall"
	"xtm/xen/xl"
)

func captureCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "capture",
		Usage:     "record what a report reads, to look at it elsewhere or to ask for help",
		ArgsUsage: "DIR|FILE.tar.gz",
		Description: `It changes nothing on the machine. What it wrote is read by "xtm report --source" and
"xtm detect --from".
Secrets are never recorded; --redact replaces the names of domains and hosts, uuids and
addresses by made-up ones, the same everywhere.

   xtm capture host.tar.gz             in Dom0, as root
   xtm capture --redact host.tar.gz    before you give it away
   xtm capture guest.tar.gz            in a guest`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "role", Value: "auto", Usage: "auto, host or guest"},
			&cli.BoolFlag{Name: "redact", Usage: "replace names, uuids and addresses"},
			&cli.StringFlag{Name: "label", Usage: "a `TEXT` that reports made from it show"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return &usageError{"capture wants one argument: where to write", []string{"for example: xtm capture host.tar.gz"}}
			}
			role, err := roleOf(env.Files, c.String("role"))
			if err != nil {
				return err
			}
			return record(c.Context, env, c.Args().First(), role, c.String("label"), c.Bool("redact"))
		},
	}
}

// roleOf finds out which side of Xen this is, unless it is told.
func roleOf(files hostfs.Files, said string) (capture.Role, error) {
	switch said {
	case "host":
		return capture.Host, nil
	case "guest":
		return capture.Guest, nil
	case "auto":
	default:
		return "", &usageError{fmt.Sprintf("no role is called %q", said), []string{"roles are: auto, host, guest"}}
	}
	found, seen, err := role.Detect(files)
	switch {
	case err != nil:
		return "", err
	case found == role.None:
		return "", &exitError{
			exitNotSupported, fmt.Errorf("this does not run under Xen: %s: %w", seen, cause.ErrNotSupported),
			[]string{"--role host or --role guest records anyway what is there"},
		}
	}
	return capture.Role(found), nil
}

// record reads everything through recording seams and writes it down.
func record(ctx context.Context, env Env, path string, role capture.Role, label string, redact bool) error {
	if err := capture.Refuse(path); err != nil {
		return err
	}
	if role == capture.Host && !env.Root {
		return &exitError{
			exitNeedsRoot, fmt.Errorf("capture a host: xl and xenstore answer root only: %w", cause.ErrNeedsRoot),
			[]string{"sudo xtm capture " + path},
		}
	}
	rec := capture.Record(env.seams(), capture.Meta{
		Schema: capture.Schema, XTM: Version(), Role: role, Begin: env.Now(), Recorded: label,
	})
	var unread, noXL error
	var without string
	if role == capture.Host {
		without, noXL, unread = readHost(ctx, rec.Seams())
		left, err := readHardware(ctx, env, rec.Hardware(redact))
		if err != nil {
			return err
		}
		without += left
	}
	if err := rec.Extras(ctx); err != nil {
		return err
	}
	c := rec.Capture(env.Now(), capture.Options{Redact: redact})
	if noXL != nil && c.Meta.CallsLeftOut > 0 {
		unread = fmt.Errorf("%w; hypercalls could not be redacted", noXL)
	}
	if err := c.Write(path); err != nil {
		return err
	}
	if _, err := fmt.Fprint(env.Stderr, without, c.Summary()); err != nil {
		return err
	}
	if unread != nil {
		return &exitError{
			exitPartly, fmt.Errorf("%s was written, but it holds no report: %w", path, unread), nil,
		}
	}
	return nil
}

// readHardware reads what detect reads. The names of devices are those of
// whoever looks at the capture, so that their list is not recorded. It says what
// was left out; the error is the context's.
func readHardware(ctx context.Context, env Env, seams capture.Seams) (left string, err error) {
	if names, err := env.Files.ReadDir("/sys/bus/pci/devices"); err == nil && len(names) > capture.MaxFunctions {
		return fmt.Sprintf("recorded without hardware: %d PCI functions are more than %d\n", len(names), capture.MaxFunctions), nil
	}
	_, err = hwprofile.Read(ctx, hwprofile.Machine{
		Files: seams.Files, Run: seams.Run, Hypervisor: xl.New(seams.Run, seams.Files), IDs: env.Files,
	})
	return "", err
}

// readHost reads the host in both ways, so that the capture has what each of
// them reads. It names the way that does not work; noXL is why xl is that one.
// The error is set where no report can be made of the capture.
func readHost(ctx context.Context, seams capture.Seams) (without string, noXL, err error) {
	errCalls := errors.New("there is no way to them")
	if seams.Calls != nil {
		_, errCalls = hypercall.New(seams.Calls, seams.Store, seams.Files).Snapshot(ctx)
	}
	_, noXL = xl.New(seams.Run, seams.Files).Snapshot(ctx)
	switch {
	case errCalls != nil && noXL != nil:
		return "", noXL, neither(noXL, errCalls)
	case errCalls != nil:
		without = fmt.Sprintf("recorded without hypercalls: %s\n", errCalls)
	case noXL != nil:
		without = fmt.Sprintf("recorded without xl: %s\n", noXL)
	}
	return without, noXL, nil
}
