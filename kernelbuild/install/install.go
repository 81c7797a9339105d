// Package install puts the packages of a kernel build on a machine so that it
// always boots: what boots by default now stays the default, and the new kernel
// starts once, when asked for, until Confirm makes it the default.
//
// How that is done depends on what starts the machine: GRUB with its environment
// block; Dom0's pygrub, which reads grub.cfg, has no environment block and boots
// the first entry; or Dom0 itself, with a kernel of its own. Each change is
// written down in /var/lib/xtm/kernel before it is made, so that the next run
// undoes what a killed one left.
package install

import (
	"context"
	"io"
	"time"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// Machine is the system that kernels are installed on.
type Machine struct {
	// Root is its file system, in which files are written.
	Root hostfs.Root
	// Run starts programs on the running machine.
	Run run.Func
	Now func() time.Time
	// Offline tells that Root is mounted from elsewhere: its programs run
	// chrooted, and nothing is known of what runs.
	Offline bool
	// Log gets what dpkg and the programs that it starts print; nil is nowhere.
	Log io.Writer
}

// longest is generous: initramfs-tools compresses and dkms compiles.
const longest = time.Hour

// run starts one of the machine's own programs. One that is not there is
// cause.ErrNoData, in a root too.
func (m Machine) run(ctx context.Context, argv ...string) (run.Result, error) {
	name := argv[0]
	if m.Offline {
		argv = append([]string{"chroot", string(m.Root)}, argv...)
	}
	r, err := m.Run(ctx, run.Cmd{Name: argv[0], Args: argv[1:], Timeout: longest})
	const notFound = 127 // of chroot
	if err == nil && m.Offline && r.ExitCode == notFound {
		return r, &missingError{name, string(m.Root)}
	}
	return r, err
}

// must is run for a program that has to succeed.
func (m Machine) must(ctx context.Context, argv ...string) error {
	r, err := m.run(ctx, argv...)
	if err != nil {
		return err
	}
	return r.Check(run.Cmd{Name: argv[0], Args: argv[1:]})
}

// missingError is a program that a root does not have.
type missingError struct{ program, root string }

func (e *missingError) Error() string { return e.program + " is not in " + e.root }
func (e *missingError) Unwrap() error { return cause.ErrNoData }

// PartlyError is a change that stopped where the machine still boots as before,
// and was not undone because what is there is worth keeping.
type PartlyError struct {
	Seen string
	Ways []string
}

// Error is what was seen.
func (e *PartlyError) Error() string { return e.Seen }

// Hints are the ways on and back.
func (e *PartlyError) Hints() []string { return e.Ways }
