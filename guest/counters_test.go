package guest_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

func TestReadCounters(t *testing.T) {
	files := hostfs.FromFS(guesttest.Files(t, "xen-4.12/web1/2-under-load"))
	cc, err := guest.ReadCleancacheCounters(files, nil)
	if want := (guest.CleancacheCounters{SuccGets: 30720, FailedGets: 194560, Puts: 225280, Invalidates: 64}); cc != want || err != nil {
		t.Errorf("cleancache %+v, %v", cc, err)
	}
	fs, err := guest.ReadFrontswapCounters(files, nil)
	if want := (guest.FrontswapCounters{Loads: 19791, SuccStores: 21139, Invalidates: 19584}); fs != want || err != nil {
		t.Errorf("frontswap %+v, %v", fs, err)
	}
}

// Linux 3.2 keeps cleancache's counters in sysfs and calls invalidates flushes.
func TestReadCountersOfOldKernels(t *testing.T) {
	m := fstest.MapFS{}
	for name, n := range map[string]string{"succ_gets": "11", "failed_gets": "22", "puts": "33", "flushes": "44"} {
		guesttest.Put(m, "/sys/kernel/mm/cleancache/"+name, n+"\n")
	}
	cc, err := guest.ReadCleancacheCounters(hostfs.FromFS(m), nil)
	if want := (guest.CleancacheCounters{SuccGets: 11, FailedGets: 22, Puts: 33, Invalidates: 44}); cc != want || err != nil {
		t.Errorf("%+v, %v", cc, err)
	}
}

func TestReadCountersThatAreNotThere(t *testing.T) {
	empty := hostfs.FromFS(fstest.MapFS{})
	_, err := guest.ReadCleancacheCounters(empty, nil)
	if !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "mount -t debugfs none /sys/kernel/debug") {
		t.Errorf("debugfs not mounted: %v", err)
	}
	mounted := []guest.Mount{{Source: "none", Point: "/debug", Type: "debugfs"}}
	_, err = guest.ReadFrontswapCounters(empty, mounted)
	if !errors.Is(err, cause.ErrNoData) || !strings.Contains(err.Error(), "this kernel has none below /debug") {
		t.Errorf("a kernel without frontswap: %v", err)
	}
	_, err = guest.ReadCleancacheCounters(denied{}, mounted)
	if !errors.Is(err, fs.ErrPermission) || cause.Of(err) != cause.NeedsRoot {
		t.Errorf("not root: %v", err)
	}
	m := fstest.MapFS{}
	for _, name := range []string{"succ_gets", "failed_gets", "puts", "invalidates"} {
		guesttest.Put(m, "/debug/cleancache/"+name, "7\n")
	}
	if cc, err := guest.ReadCleancacheCounters(hostfs.FromFS(m), mounted); cc.Puts != 7 || err != nil {
		t.Errorf("debugfs mounted elsewhere: %+v, %v", cc, err)
	}
	guesttest.Put(m, "/debug/cleancache/puts", "many\n")
	if _, err := guest.ReadCleancacheCounters(hostfs.FromFS(m), mounted); cause.Of(err) != cause.Failed || !strings.Contains(err.Error(), "/debug/cleancache/puts") {
		t.Errorf("a bad number: %v", err)
	}
}

func TestReadHypervisor(t *testing.T) {
	for moment, want := range map[string]struct {
		text string
		may  bool
	}{"xen-4.12/web1/1-after-setup": {"4.12.4", true}, "xen-4.17/web1/2-idle": {"4.17.7", false}} {
		h, err := guest.ReadHypervisor(hostfs.FromFS(guesttest.Files(t, moment)))
		if h.String() != want.text || h.MayHaveTmem() != want.may || err != nil {
			t.Errorf("%s: %s, %v, %v", moment, h, h.MayHaveTmem(), err)
		}
	}
	version := func(major, minor, extra string) hostfs.Files {
		m := fstest.MapFS{}
		for name, v := range map[string]string{"major": major, "minor": minor, "extra": extra} {
			if v != "" {
				guesttest.Put(m, "/sys/hypervisor/version/"+name, v+"\n")
			}
		}
		return hostfs.FromFS(m)
	}
	for _, tt := range []struct {
		files hostfs.Files
		want  string
		cause cause.Word
	}{
		{version("4", "8", "<denied>"), "4.8", ""},
		{version("4", "0", ""), "4.0", ""},
		{version("3", "4", ".3"), "3.4.3", ""},
		{version("4", "12", "-a text longer than Xen has room for"), "4.12", ""},
		{version("<denied>", "<denied>", "<denied>"), "0.0", cause.NoData},
		{version("", "", ""), "0.0", cause.NoData},
		{version("four", "12", ""), "0.0", cause.Failed},
	} {
		if h, err := guest.ReadHypervisor(tt.files); h.String() != tt.want || cause.Of(err) != tt.cause {
			t.Errorf("got %s, %v; want %s, %q", h, err, tt.want, tt.cause)
		}
	}
	for h, want := range map[guest.Hypervisor]bool{
		{Major: 3, Minor: 4}: false, {Major: 4}: true, {Major: 4, Minor: 12, Extra: ".4"}: true, {Major: 4, Minor: 13}: false, {Major: 5}: false,
	} {
		if h.MayHaveTmem() != want {
			t.Errorf("Xen %s may have tmem: %v", h, !want)
		}
	}
}
