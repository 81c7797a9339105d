package xl_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem"
	"xtm/xen/tmem/tmemtest"
	"xtm/xen/xl"
	"xtm/xen/xl/xltest"
)

// classes are releases of each behaviour of xl.
var classes = []string{"4.0.4", "4.1.6", "4.2.5", "4.4.4", "4.5.5", "4.6.6", "4.7.6", "4.8.5", "4.9.4", "4.12.4"}

func toolstack(release string) (*xltest.XL, *xl.Control) {
	x := hypercalltest.New(release, time.Date(2026, 11, 22, 13, 35, 22, 0, time.UTC))
	x.TmemBuilt, x.TmemOn, x.Listing = true, true, tmemtest.Host(3, 2)
	fake := &xltest.XL{Xen: x}
	return fake, xl.NewControl(fake.Run, x.Version)
}

// Each control is one command with the domain's number, and does what it says.
func TestControlsDoWhatTheySay(t *testing.T) {
	for _, release := range classes {
		fake, c := toolstack(release)
		ctx := t.Context()
		for _, err := range []error{
			c.Freeze(ctx, 2), c.SetWeight(ctx, 2, 50), c.SetCompress(ctx, 2, true), c.SetWeight(ctx, 3, 4294967295), c.SetCompress(ctx, 3, false), c.Thaw(ctx, 3),
		} {
			if err != nil {
				t.Errorf("%s: %v", release, err)
			}
		}
		want := []string{
			"xl tmem-freeze 2", "xl tmem-set -w 50 2", "xl tmem-set -p 1 2", "xl tmem-set -w 4294967295 3", "xl tmem-set -p 0 3", "xl tmem-thaw 3",
		}
		if diff := cmp.Diff(want, fake.Calls); diff != "" {
			t.Errorf("%s: %s", release, diff)
		}
		two, err := c.Settings(ctx, 2)
		if want := (tmem.Settings{Weight: 50, Compress: true, Frozen: true}); two != want || err != nil {
			t.Errorf("%s: %+v, %v", release, two, err)
		}
		three, err := c.Settings(ctx, 3)
		if want := (tmem.Settings{Weight: 4294967295}); three != want || err != nil {
			t.Errorf("%s: %+v, %v", release, three, err)
		}
		if one := fake.Xen.Listing.Clients[0]; one.Frozen != opt.Of[int64](0) || one.Weight != opt.Of[int64](0) {
			t.Errorf("%s: domain 1 was touched: %+v", release, one)
		}
	}
}

// Up to 4.7 xl exits with 0 when Xen refused.
func TestControlFailuresAreSeen(t *testing.T) {
	for _, release := range classes {
		fake, c := toolstack(release)
		ctx := t.Context()
		_, errSettings := c.Settings(ctx, 99)
		for verb, err := range map[string]error{
			"freeze": c.Freeze(ctx, 99), "thaw": c.Thaw(ctx, 0), "weight": c.SetWeight(ctx, 99, 1), "compress": c.SetCompress(ctx, 99, true), "settings": errSettings,
		} {
			if !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "run xl tmem-") {
				t.Errorf("%s: %s of no client: %v", release, verb, err)
			}
		}
		n := len(fake.Calls)
		for _, id := range []units.DomID{0x7ff0, 0xffff} {
			if err := c.Freeze(ctx, id); err == nil || len(fake.Calls) != n {
				t.Errorf("%s: domain %d: %v", release, id, err)
			}
		}
		fake.Xend = true
		err := c.Freeze(ctx, 1)
		if beside := slices.Contains([]string{"4.2.5", "4.4.4"}, release); beside != (err != nil) {
			t.Errorf("%s beside xend: %v", release, err)
		}
	}
	for release, want := range map[string]cause.Word{"4.0.0": cause.NotSupported, "4.13.0": cause.NotSupported} {
		fake, c := toolstack(release)
		if err := c.Freeze(t.Context(), 1); cause.Of(err) != want || len(fake.Calls) > 0 {
			t.Errorf("%s: %v, %q", release, err, fake.Calls)
		}
		// Where the version is not known, xl tells.
		if err := xl.NewControl(fake.Run, xen.Version{}).Freeze(t.Context(), 1); cause.Of(err) != want {
			t.Errorf("%s: %v", release, err)
		}
	}
	_, c := toolstack("4.12.4")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Thaw(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
