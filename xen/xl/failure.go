package xl

import (
	"errors"
	"fmt"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/role"
	"xtm/internal/run"
)

// advised is an error with what to do about it.
type advised struct {
	err    error
	advice string
}

func (e *advised) Error() string   { return e.err.Error() }
func (e *advised) Unwrap() error   { return e.err }
func (e *advised) Hints() []string { return []string{e.advice} }

// parseError is an output that its parser refused.
type parseError struct {
	cmd string
	err error
}

func (e *parseError) Error() string { return "read output of " + e.cmd + ": " + e.err.Error() }
func (e *parseError) Unwrap() error { return e.err }

// What to do about each reason.
const (
	adviceRoot    = "run it as root"
	adviceDom0    = "run it in Dom0; in a guest xtm status tells what the guest can do"
	adviceInstall = "install Xen's tools in Dom0 (Debian: the xen-utils package of the running hypervisor's version)"
)

// texts are what the toolstack prints on stderr when it cannot work at all, or
// not do this one thing. The texts of 4.0 to 4.22 were read in tools/libs/call,
// tools/libxc, tools/xl and, for the wrapper script, Debian's xen-utils-common.
// "Operation not permitted" is not among them: it also means "no such tmem
// client".
var texts = []struct {
	text, advice string
	cause        error
}{
	{"Permission denied", adviceRoot, cause.ErrNeedsRoot},
	{"command not implemented", "", cause.ErrNotSupported},
	{"Function not implemented", "", cause.ErrNotSupported},
	{"Hypervisor is not xen", adviceDom0, cause.ErrNotSupported},
	{"Can't find hypervisor information", adviceDom0, cause.ErrNotSupported},
	{"privileged command interface", adviceDom0, cause.ErrNotSupported}, // there is none
	{"Can't find version", adviceInstall, cause.ErrNoData},
	{"Unable to execute /usr/lib/xen", adviceInstall, cause.ErrNoData},
}

// failure judges a command that ended by itself. Up to 4.7 xl exits 0 when the
// hypervisor refused: then only libxl's "Can not …" on stderr tells.
func failure(c run.Cmd, res run.Result) error {
	err := res.Check(c)
	if err == nil && c.Name == "xl" && strings.Contains(string(res.Stderr), "Can not ") {
		err = &run.ExitError{Cmd: c.String(), Code: 0, Stderr: run.LastLines(res.Stderr, 3)}
	}
	if err == nil {
		return nil
	}
	for _, t := range texts {
		if strings.Contains(string(res.Stderr), t.text) {
			err = fmt.Errorf("%w: %w", err, t.cause)
			if t.advice != "" {
				err = &advised{err, t.advice}
			}
			break
		}
	}
	return err
}

// mostTelling picks the error that says best why nothing can be read: a missing
// privilege over a missing program, and else the first.
func mostTelling(errs ...error) error {
	for _, sentinel := range []error{cause.ErrNeedsRoot, cause.ErrNotSupported} {
		for _, err := range errs {
			if errors.Is(err, sentinel) {
				return err
			}
		}
	}
	return errs[0]
}

// dom0 finds out from files whether this is a Dom0. No file to look at is not an
// error: /proc/xen may not be mounted and a capture may lack it, so that the
// programs must tell.
func (s *Source) dom0() error {
	found, seen, err := role.Detect(s.files)
	switch {
	case err != nil, found == role.Host:
		return nil //nolint:nilerr // the programs must tell where the files do not
	case found == role.Guest:
		return &advised{fmt.Errorf("this is not Dom0: %s: %w", seen, cause.ErrNotSupported), adviceDom0}
	}
	if other, err := s.files.Exists("/sys/hypervisor/type"); err == nil && other {
		return &advised{fmt.Errorf("this is not a Xen host: %s: %w", seen, cause.ErrNotSupported), adviceDom0}
	}
	return nil
}

// explain adds to the reason why nothing could be read. Without Xen's programs
// and without a trace of Xen in /proc and /sys this is not a Xen host.
func (s *Source) explain(err error) error {
	if !errors.Is(err, cause.ErrNoData) {
		return err
	}
	seen := func(path string) bool {
		ok, err := s.files.Exists(path)
		return ok || err != nil
	}
	if ok, errProc := s.files.Exists("/proc/version"); ok && errProc == nil && !seen("/proc/xen") && !seen("/sys/hypervisor/type") {
		return &advised{fmt.Errorf("this is not a Xen host: no /proc/xen, no /sys/hypervisor/type, and %w: %w", err, cause.ErrNotSupported), adviceDom0}
	}
	if _, ok := errors.AsType[*advised](err); ok {
		return err
	}
	return &advised{err, adviceInstall}
}
