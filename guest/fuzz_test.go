package guest_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/hostfs"
	"xtm/internal/units"
)

// moments are recorded guests whose files are seeds.
var moments = []string{
	"xen-4.12/web1/0-before-modprobe", "xen-4.12/web1/2-under-load", "xen-4.12-notmem/web1/2-under-load",
	"xen-4.12-builtin/plain1/builtin-with-tmem-param", "xen-4.17/web1/2-idle", "xen-4.12-selfballoon/web1/8",
}

// seeds adds a file of each moment that has it.
func seeds(f *testing.F, name string) {
	f.Helper()
	for _, m := range moments {
		if file, ok := guesttest.Files(f, m)[name]; ok {
			f.Add(string(file.Data))
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	seeds(f, "proc/sys/kernel/osrelease")
	f.Add("4.12.14-122.37-default\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := guest.ParseRelease(text)
		if err != nil {
			return
		}
		if !r.Known() || strings.ContainsAny(r.Text, "/\x00 \n") || len(r.Text) > 64 {
			t.Errorf("%q became %+v", text, r)
		}
		if again, err := guest.ParseRelease(r.Text); again != r || err != nil {
			t.Errorf("%q is read as %+v, %v", r.Text, again, err)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	seeds(f, "boot/config-4.19.0-tmemlab")
	f.Add(gz(f, "CONFIG_CLEANCACHE=y\n# CONFIG_FRONTSWAP is not set\n"))
	f.Fuzz(func(t *testing.T, text string) {
		set, err := guest.ParseConfigFile([]byte(text))
		if err != nil {
			return
		}
		for name, value := range set {
			if name == "" || value == "n" || strings.Contains(name, "=") {
				t.Errorf("%q set to %q", name, value)
			}
		}
	})
}

func FuzzParseBootLine(f *testing.F) {
	seeds(f, "proc/cmdline")
	f.Add(`ro "tmem" tmem.frontswap=0 zswap.enabled=1 -- tmem`)
	era := guest.EraOf(guest.Version{Major: 4, Minor: 19})
	f.Fuzz(func(t *testing.T, text string) {
		l := guest.ParseBootLine(text)
		if l.Has("tmem", era) && !strings.Contains(strings.ReplaceAll(text, "-", "_"), "tmem") {
			t.Errorf("%q has tmem", text)
		}
		if _, given := l.Param("zswap", "enabled"); given && !strings.Contains(text, "zswap") {
			t.Errorf("%q has zswap.enabled", text)
		}
	})
}

func FuzzParseMounts(f *testing.F) {
	seeds(f, "proc/mounts")
	f.Add("/dev/xvda /mnt/a\\040b ext4 rw 0 0\n /dev/shm tmpfs rw 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := guest.ParseMounts(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range mounts {
			if m.Type == "" || strings.ContainsAny(m.Type, " \t\n") {
				t.Errorf("a mount of type %q", m.Type)
			}
		}
		size := func(string) (units.Bytes, error) { return 4096, nil }
		if n := len(guest.FileSystems(mounts, size)); n > len(mounts) {
			t.Errorf("%d file systems of %d mounts", n, len(mounts))
		}
	})
}

func FuzzReadSwaps(f *testing.F) {
	seeds(f, "proc/swaps")
	f.Add("Filename\n/var/a\\040b file 1048572 0 -3\n")
	f.Fuzz(func(t *testing.T, text string) {
		m := fstest.MapFS{}
		guesttest.Put(m, "/proc/swaps", text)
		areas, err := guest.ReadSwaps(hostfs.FromFS(m))
		if err != nil {
			return
		}
		for _, a := range areas {
			if a.Size < 0 || a.Used < 0 {
				t.Errorf("%+v", a)
			}
		}
	})
}

func FuzzReadMemory(f *testing.F) {
	for _, m := range moments {
		files := guesttest.Files(f, m)
		if z, ok := files["proc/zoneinfo"]; ok {
			f.Add(string(files["proc/meminfo"].Data), string(z.Data))
		}
	}
	f.Fuzz(func(t *testing.T, meminfo, zoneinfo string) {
		m := fstest.MapFS{}
		guesttest.Put(m, "/proc/meminfo", meminfo)
		guesttest.Put(m, "/proc/zoneinfo", zoneinfo)
		memory, err := guest.ReadMemory(hostfs.FromFS(m))
		if err != nil {
			return
		}
		z, _ := memory.Zones.Get()
		for _, p := range []units.Pages{memory.Managed, memory.Committed, memory.SwapTotal, memory.SwapFree, z.Reserve, z.MaxPFN, z.Present} {
			if p < 0 {
				t.Errorf("%+v", memory)
			}
		}
	})
}

func FuzzParseMaxPFN(f *testing.F) {
	seeds(f, "proc/zoneinfo")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := guest.ParseMaxPFN(strings.NewReader(text)); err == nil && n <= 0 {
			t.Errorf("max_pfn %d", n)
		}
	})
}

func FuzzFindModule(f *testing.F) {
	f.Add("kernel/drivers/xen/xen-evtchn.ko:\nkernel/drivers/xen/tmem.ko.xz: kernel/a.ko.xz\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := guest.FindModuleIn(strings.NewReader(text), "tmem")
		if err == nil && file != "" && !strings.Contains(file, "tmem.ko") {
			t.Errorf("found %q", file)
		}
	})
}

// FuzzReadNumbers feeds one text to every file of one number or word.
func FuzzReadNumbers(f *testing.F) {
	for _, s := range []string{"373288\n", "20\n", "0\n", "<denied>\n", "-1", "18446744073709551615", ".4"} {
		f.Add(s)
	}
	whole := guesttest.Files(f, "xen-4.12/web1/2-under-load")
	f.Fuzz(func(t *testing.T, text string) {
		m := fstest.MapFS{}
		for name := range whole {
			if strings.HasPrefix(name, "sys/") {
				guesttest.Put(m, name, text)
			}
		}
		files := hostfs.FromFS(m)
		if b, err := guest.ReadBalloon(files); err == nil && (b.Current < 0 || b.Target < 0) {
			t.Errorf("%+v", b)
		}
		if c, err := guest.ReadCleancacheCounters(files, nil); err == nil && (c.Puts != c.SuccGets || c.Puts != c.Invalidates) {
			t.Errorf("one number became %+v", c)
		}
		if h, err := guest.ReadHypervisor(files); err == nil && (h.Major < 0 || h.Major != h.Minor || len(h.Extra) > 16) {
			t.Errorf("%+v", h)
		}
	})
}

// FuzzChain damages one file of a whole guest: a state is read and judged all the
// same, and always the same.
func FuzzChain(f *testing.F) {
	whole := guesttest.Files(f, "xen-4.12/web1/2-under-load")
	whole["proc/zoneinfo"] = guesttest.Files(f, "xen-4.12-selfballoon/web1/8")["proc/zoneinfo"]
	names := slices.Sorted(maps.Keys(whole))
	for i, name := range names {
		f.Add(uint(i), whole[name].Data)
	}
	f.Fuzz(func(t *testing.T, i uint, data []byte) {
		m := maps.Clone(whole)
		m[names[i%uint(len(names))]] = &fstest.MapFile{Data: bytes.Clone(data)}
		first := guest.Chain(read(m))
		if diff := cmp.Diff(first, guest.Chain(read(m))); diff != "" {
			t.Error(diff)
		}
		for _, finding := range first {
			if finding.Check == "" || finding.Verdict == "" || finding.Seen == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}

func BenchmarkReadAndChain(b *testing.B) {
	files := hostfs.FromFS(guesttest.Files(b, "xen-4.12/web1/2-under-load"))
	b.ReportAllocs()
	for b.Loop() {
		guest.Chain(guest.Read(files, nil))
	}
}
