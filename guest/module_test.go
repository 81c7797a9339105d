package guest_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

const modules = "/lib/modules/4.19.0/"

func TestReadModule(t *testing.T) {
	all := map[string]bool{"cleancache": true, "frontswap": true, "selfballooning": true, "selfshrinking": true}
	for moment, want := range map[string]guest.Module{
		"xen-4.12/web1/1-after-setup":              {Presence: guest.Loaded, Params: all},
		"xen-4.12-builtin/plain1/builtin-no-param": {Presence: guest.InKernel, Params: all},
		"xen-4.12-notmem/web1/2-under-load":        {Presence: guest.Loaded, Params: all},
		"xen-4.17/web1/2-idle":                     {Presence: guest.Loaded, Params: all},
	} {
		got, err := guest.ReadModule(hostfs.FromFS(guesttest.Files(t, moment)), "4.19.0")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", moment, err, diff)
		}
	}
}

func TestFindModule(t *testing.T) {
	const evtchn = "kernel/drivers/xen/xen-evtchn.ko:\n"
	onDisk := func(file string) guest.Module { return guest.Module{Presence: guest.OnDisk, File: file} }
	for name, tt := range map[string]struct {
		files map[string]string
		want  guest.Module
	}{
		"plain":             {map[string]string{"modules.dep": evtchn + "kernel/drivers/xen/tmem.ko:\n"}, onDisk("kernel/drivers/xen/tmem.ko")},
		"xz":                {map[string]string{"modules.dep": "kernel/drivers/xen/tmem.ko.xz: kernel/a.ko.xz\n"}, onDisk("kernel/drivers/xen/tmem.ko.xz")},
		"updated":           {map[string]string{"modules.dep": "updates/dkms/tmem.ko.zst:\n"}, onDisk("updates/dkms/tmem.ko.zst")},
		"absent":            {map[string]string{"modules.dep": evtchn + "kernel/drivers/xen/not-tmem.ko:\nkernel/a.ko: kernel/drivers/xen/tmem.ko\n"}, guest.Module{Presence: guest.Absent}},
		"built in":          {map[string]string{"modules.builtin": "kernel/drivers/xen/tmem.ko\n", "modules.dep": ""}, guest.Module{Presence: guest.InKernel, File: "kernel/drivers/xen/tmem.ko"}},
		"no depmod, zst":    {map[string]string{"kernel/drivers/xen/tmem.ko.zst": "x"}, onDisk("kernel/drivers/xen/tmem.ko.zst")},
		"no depmod, gz":     {map[string]string{"kernel/drivers/xen/tmem.ko.gz": "x"}, onDisk("kernel/drivers/xen/tmem.ko.gz")},
		"no depmod, absent": {map[string]string{"kernel/drivers/xen/xen-evtchn.ko": "x"}, guest.Module{Presence: guest.Absent}},
	} {
		m := fstest.MapFS{}
		for file, text := range tt.files {
			guesttest.Put(m, modules+file, text)
		}
		got, err := guest.FindModule(hostfs.FromFS(m), "4.19.0")
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if m, err := guest.FindModule(hostfs.FromFS(fstest.MapFS{}), "4.19.0"); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("no folder for this kernel: %+v, %v", m, err)
	}
}
