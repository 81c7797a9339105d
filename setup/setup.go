// Package setup does what an administrator does by hand to have tmem: it probes
// a machine, plans changes of files, writes them so that each moment of it can
// be undone, has the boot menu made again and proves there that it took effect.
//
// Probing and applying touch the machine; planning is a function of what was
// probed. What a plan refuses, it explains: what was found, why that will not
// do, what will.
package setup

import (
	"context"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// Machine is the system that is set up.
type Machine struct {
	// Root is its file system, in which files are written.
	Root hostfs.Root
	// Run starts programs on the running machine.
	Run run.Func
	Now func() time.Time
	// Offline tells that Root is mounted from elsewhere: its programs run
	// chrooted, and nothing is known of what runs.
	Offline bool
}

// regenerateTimeout is generous: os-prober looks at every disk.
const regenerateTimeout = 10 * time.Minute

// run starts one of the machine's own programs.
func (m Machine) run(ctx context.Context, argv []string) error {
	if m.Offline {
		argv = append([]string{"chroot", string(m.Root)}, argv...)
	}
	c := run.Cmd{Name: argv[0], Args: argv[1:], Timeout: regenerateTimeout}
	_, err := m.Run.Checked(ctx, c)
	return err
}

// Missing names what an offline root lacks of what update-grub needs: xtm
// mounts nothing.
func (m Machine) Missing() []string {
	if !m.Offline {
		return nil
	}
	var out []string
	for _, mount := range []struct{ dir, holds string }{
		{"/proc", "/proc/self"}, {"/sys", "/sys/class"}, {"/dev", "/dev/null"},
	} {
		if found, err := m.Root.Exists(mount.holds); err != nil || !found {
			out = append(out, mount.dir)
		}
	}
	return out
}

// Word is one word in a variable of GRUB's settings.
type Word struct {
	Variable string `json:"variable"`
	Text     string `json:"text"`
}
