package xl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Control changes tmem by xl's commands. It gives the domain's number and one
// setting a call, for xl names no domain that is a number, and of several
// settings its exit status tells the last one's fate only. -a is never used:
// from 4.8 on it resets the settings that it was not given.
type Control struct {
	run     run.Func
	version xen.Version
}

var (
	_ tmem.Control        = (*Control)(nil)
	_ tmem.SettingsReader = (*Control)(nil)
)

// NewControl returns the control of a running Xen of this version; it touches
// nothing yet.
func NewControl(run run.Func, v xen.Version) *Control { return &Control{run, v} }

// lastDomID is the last number that a domain can have (DOMID_FIRST_RESERVED in
// xen/include/public/xen.h); 65,535 stands for all tmem clients.
const lastDomID units.DomID = 0x7fef

// Freeze lets a domain put no new pages; what it has stays and can be got.
func (c *Control) Freeze(ctx context.Context, id units.DomID) error {
	return c.change(ctx, id, "tmem-freeze")
}

// Thaw undoes Freeze.
func (c *Control) Thaw(ctx context.Context, id units.DomID) error {
	return c.change(ctx, id, "tmem-thaw")
}

// SetWeight sets a domain's weight.
func (c *Control) SetWeight(ctx context.Context, id units.DomID, weight uint32) error {
	return c.change(ctx, id, "tmem-set", "-w", strconv.FormatUint(uint64(weight), 10))
}

// SetCompress switches compression of the domain's later puts.
func (c *Control) SetCompress(ctx context.Context, id units.DomID, on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	return c.change(ctx, id, "tmem-set", "-p", value)
}

// Settings reads what is set for a domain.
func (c *Control) Settings(ctx context.Context, id units.DomID) (tmem.Settings, error) {
	res, cmd, err := c.call(ctx, id, "tmem-list")
	if err != nil {
		return tmem.Settings{}, err
	}
	l, err := tmem.ParseBytes(res.Stdout)
	if err != nil {
		return tmem.Settings{}, &parseError{cmd.String(), err}
	}
	for _, client := range l.Clients {
		if client.ID == id {
			return tmem.SettingsOf(client), nil
		}
	}
	return tmem.Settings{}, fmt.Errorf("read output of %s: no line of domain %d: %w", cmd, id, cause.ErrNoData)
}

func (c *Control) change(ctx context.Context, id units.DomID, sub string, options ...string) error {
	_, _, err := c.call(ctx, id, sub, options...)
	return err
}

// call runs one of xl's tmem commands on one domain.
func (c *Control) call(ctx context.Context, id units.DomID, sub string, options ...string) (run.Result, run.Cmd, error) {
	cmd := run.Cmd{Name: "xl", Args: append(append([]string{sub}, options...), strconv.Itoa(int(id)))}
	if f := tmem.For(c.version); c.version.Known() && !f.XL {
		return run.Result{}, cmd, fmt.Errorf("run %s: xl of Xen %s has no such command: %w", cmd, c.version, cause.ErrNotSupported)
	}
	if id > lastDomID {
		return run.Result{}, cmd, fmt.Errorf("run %s: a domain's number is at most %d", cmd, lastDomID)
	}
	res, err := c.run(ctx, cmd)
	if err == nil {
		err = controlFailure(cmd, res)
	}
	return res, cmd, err
}

// controlFailure judges a command that changes something. What libxl complains
// of has failed, whatever the exit status; its texts for a domain that is no
// client, of 4.7 and before, of 4.8, and of 4.9 to 4.12:
//
//	libxl: error: libxl.c:6205:libxl_tmem_freeze: Can not freeze tmem pools: Operation not permitted
//	libxl: error: libxl_tmem.c:112:libxl_tmem_set: Can not set tmem weight: No such file or directory
//	libxl: error: libxl_tmem.c:45:libxl_tmem_freeze: Domain 99:Can not freeze tmem pools: Operation not permitted
func controlFailure(cmd run.Cmd, res run.Result) error {
	err := failure(cmd, res)
	stderr := string(res.Stderr)
	if err == nil && strings.Contains(stderr, "libxl: error:") {
		err = &run.ExitError{Cmd: cmd.String(), Stderr: run.LastLines(res.Stderr, 3)}
	}
	if err == nil || cause.Of(err) != cause.Failed {
		return err
	}
	for text, why := range map[string]error{
		"Operation not permitted": cause.ErrNoData, "No such file or directory": cause.ErrNoData,
		"No such device": cause.ErrNotSupported,
	} {
		if strings.Contains(stderr, "Can not ") && strings.Contains(stderr, text) {
			return fmt.Errorf("%w: %w", err, why)
		}
	}
	return err
}
