package cli

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/capture"
	"xtm/capture/importtest"
	"xtm/internal/cause"
	"xtm/internal/run"
	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
)

// flaky fails with errs, one after the other, and nil asks the hypervisor.
type flaky struct {
	hypercall.Caller
	errs []error
}

func (f *flaky) Call(ctx context.Context, r *hypercall.Request) (hypercall.Answer, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			return hypercall.Answer{}, err
		}
	}
	return f.Caller.Call(ctx, r)
}

// noKeys is a xenstore that fails.
type noKeys struct{ err error }

func (k noKeys) Read(context.Context, string) (string, error) { return "", k.err }

func TestAutoSource(t *testing.T) {
	absent := fs.ErrNotExist
	lacking := errors.Join(errors.New("not in this capture"), cause.ErrNoData)
	for name, c := range map[string]struct {
		calls []error // of the hypercalls
		keys  error
		noXL  bool
		want  []string // of three snapshots; "" is an error
		gap   string
	}{
		"it works":                  {nil, absent, false, []string{"hypercall", "hypercall", "hypercall"}, ""},
		"there is none":             {[]error{absent}, absent, false, []string{"xl", "xl", "xl"}, "xl was asked instead"},
		"it fails in between":       {slices.Concat(make([]error, 5), []error{lacking}), absent, false, []string{"xl", "xl", "xl"}, "not in this capture"},
		"keys were not recorded":    {nil, lacking, false, []string{"xl", "xl", "xl"}, "not in this capture"},
		"xenstore is gone":          {nil, errors.New("connection lost"), false, []string{"hypercall", "hypercall", "hypercall"}, "connection lost"},
		"neither":                   {[]error{absent}, absent, true, []string{"", "", ""}, ""},
		"a part is more than no xl": {nil, lacking, true, []string{"hypercall", "hypercall", "hypercall"}, "not in this capture"},
	} {
		t.Run(name, func(t *testing.T) {
			seams := importtest.Phase(t, "xen-4.12/t0-idle").Seams()
			if c.noXL {
				seams.Run = func(context.Context, run.Cmd) (run.Result, error) { return run.Result{}, cause.ErrNoData }
			}
			seams.Calls = &flaky{hypercalltest.New("4.12.4", time.Unix(1, 0)), c.calls}
			seams.Store = noKeys{c.keys}
			src := &autoSource{seams: seams}
			for i, want := range c.want {
				snap, err := src.Snapshot(t.Context())
				if snap.Source != want || (err != nil) != (want == "") {
					t.Errorf("snapshot %d is from %q, want %q; %v", i, snap.Source, want, err)
				}
				var gaps []string
				for _, g := range snap.Gaps {
					gaps = append(gaps, g.Why)
				}
				if want != "" && !strings.Contains(strings.Join(gaps, "\n"), c.gap) {
					t.Errorf("snapshot %d: gaps %q, want %q", i, gaps, c.gap)
				}
			}
		})
	}
}

// Who ends the run does not get xl instead.
func TestAutoSourceEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	end()
	seams := capture.Seams{
		Calls: hypercalltest.New("4.12.4", time.Unix(1, 0)),
		Run: func(context.Context, run.Cmd) (run.Result, error) {
			t.Error("a program was run")
			return run.Result{}, nil
		},
	}
	if _, err := (&autoSource{seams: seams}).Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
