package periodic

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"xtm/internal/atomicfile"
	"xtm/internal/cause"
	"xtm/internal/edit"
	"xtm/internal/hostfs"
	"xtm/internal/run"
)

// Apply carries a plan out. When a step fails everything is as before.
func Apply(ctx context.Context, m Machine, p Plan) error {
	if m.Root == nil {
		return fmt.Errorf("apply: a recorded machine cannot be changed: %w", cause.ErrNotSupported)
	}
	for _, c := range p.changes {
		now, err := c.read(m.Root)
		if err != nil {
			return err
		}
		if !edit.Same(now, c.Old) {
			return fmt.Errorf("change %s: %w: nothing was written, run it again", c.Path, edit.ErrChanged)
		}
	}
	err := m.carryOut(ctx, p)
	if err == nil {
		return m.tidy(p)
	}
	var failed []error
	for _, c := range p.changes {
		if err := m.put(c, c.Old); err != nil {
			failed = append(failed, err)
		}
	}
	if p.makes != "" {
		if err := m.removeEmpty(p.makes); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return errors.Join(append([]error{err, cause.ErrNotRestored}, failed...)...)
	}
	if len(p.before)+len(p.after) > 0 { // what systemd has read is not on disk any more
		if _, reload := m.Run(context.WithoutCancel(ctx), run.Cmd{Name: "systemctl", Args: []string{"daemon-reload"}}); reload != nil {
			return errors.Join(err, cause.ErrNotRestored, reload)
		}
	}
	return err
}

func (m Machine) carryOut(ctx context.Context, p Plan) error {
	if p.makes != "" {
		if err := atomicfile.MkdirAll(*m.Root, p.makes, 0o750); err != nil {
			return err
		}
	}
	commands := func(list [][]string) error {
		for _, argv := range list {
			if _, err := m.Run.Checked(ctx, run.Cmd{Name: argv[0], Args: argv[1:]}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := commands(p.before); err != nil {
		return err
	}
	for _, c := range p.changes {
		if err := m.put(c, c.New); err != nil {
			return err
		}
	}
	return commands(p.after)
}

// tidy removes what a plan leaves behind: state, and folders that are empty now.
func (m Machine) tidy(p Plan) error {
	for _, f := range p.leaves {
		if err := (edit.Change{Path: f}).Put(*m.Root, nil); err != nil {
			return err
		}
		if err := m.removeEmpty(path.Dir(f)); err != nil {
			return err
		}
	}
	for _, c := range p.changes {
		if c.link && c.New == nil {
			if err := m.removeEmpty(path.Dir(c.Path)); err != nil {
				return err
			}
		}
	}
	if p.Reports != "" {
		return m.removeEmpty(p.Reports)
	}
	return nil
}

// put makes a file or a link hold what it held before, or what it is to hold.
func (m Machine) put(c change, b []byte) error {
	if !c.link {
		return c.Put(*m.Root, b)
	}
	if b != nil {
		if err := atomicfile.MkdirAll(*m.Root, path.Dir(c.Path), 0o755); err != nil {
			return err
		}
	}
	at, err := nameIn(*m.Root, c.Path)
	if err != nil {
		return err
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace link %s: %w", c.Path, errors.Unwrap(err))
	}
	if b == nil {
		return nil
	}
	if err := os.Symlink(string(b), at); err != nil { // as systemctl enable does
		return fmt.Errorf("link %s: %w", c.Path, errors.Unwrap(err))
	}
	return nil
}

// removeEmpty removes a folder that holds nothing; one that does stays.
func (m Machine) removeEmpty(dir string) error {
	at, err := nameIn(*m.Root, dir)
	if err != nil {
		return err
	}
	names, err := os.ReadDir(at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) > 0 {
		return nil
	}
	if err == nil {
		err = os.Remove(at)
	}
	return err
}

// nameIn is a path whose last part is taken as it stands: a link, not what it
// leads to.
func nameIn(root hostfs.Root, p string) (string, error) {
	dir, err := root.Path(path.Dir(p))
	return filepath.Join(dir, path.Base(p)), err
}
