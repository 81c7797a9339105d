package guest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
)

func TestReadSwaps(t *testing.T) {
	got, err := guest.ReadSwaps(hostfs.FromFS(guesttest.Files(t, "xen-4.12/web1/2-under-load")))
	want := []guest.SwapArea{{Name: "/dev/xvdb", Type: "partition", Size: 524284, Used: 2816, Priority: -2}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	got, err = guest.ReadSwaps(hostfs.FromFS(guesttest.Files(t, "xen-4.12/cache1/2-under-load")))
	if len(got) != 0 || err != nil {
		t.Errorf("a guest without swap: %v, %v", got, err)
	}
	m := fstest.MapFS{}
	if _, err := guest.ReadSwaps(hostfs.FromFS(m)); cause.Of(err) != cause.NoData {
		t.Errorf("no /proc/swaps: %v", err)
	}
	const head = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
	guesttest.Put(m, "/proc/swaps", head+`/var/a\040b\134c\040(deleted)           file		1048572	0	-3`+"\n")
	got, err = guest.ReadSwaps(hostfs.FromFS(m))
	want = []guest.SwapArea{{Name: `/var/a b\c (deleted)`, Type: "file", Size: 1048572, Priority: -3}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, line := range []string{"/dev/xvdb partition", "/dev/xvdb partition many 0 -2", "/dev/xvdb partition -4 0 -2"} {
		guesttest.Put(m, "/proc/swaps", head+line+"\n")
		if got, err := guest.ReadSwaps(hostfs.FromFS(m)); err == nil {
			t.Errorf("%q was read as %+v", line, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/mnt": "/mnt", `/a\040b`: "/a b", `\011\012\134`: "\t\n\\", `/end\04`: `/end\04`,
		`\`: `\`, `\999`: `\999`, `\400`: `\400`, `\377`: "\xff", `\134040`: `\040`,
	} {
		if got := guest.Unescape(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestParseMounts(t *testing.T) {
	got, err := guest.ParseMounts(strings.NewReader("/dev/xvda /mnt/a\\040b ext4 rw 0 0\n /dev/shm tmpfs rw 0 0\n"))
	want := []guest.Mount{{Source: "/dev/xvda", Point: "/mnt/a b", Type: "ext4"}, {Point: "/dev/shm", Type: "tmpfs"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, bad := range []string{"a b c d\n", "a b c d e f g\n", "\n"} {
		if got, err := guest.ParseMounts(strings.NewReader("/dev/xvda / ext4 rw 0 0\n" + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestFileSystems(t *testing.T) {
	sizes := map[string]units.Bytes{"/": 4096, "/boot": 1024, "/srv": 4096, "/home": 4096, "/c": 4096}
	size := func(point string) (units.Bytes, error) {
		if n, ok := sizes[point]; ok {
			return n, nil
		}
		return 0, errors.New("statfs: no such point")
	}
	mounts := []guest.Mount{
		{"/dev/xvda1", "/", "ext4"},
		{"proc", "/proc", "proc"},
		{"/dev/xvda2", "/boot", "ext4"},
		{"/dev/xvda3", "/srv", "xfs"},
		{"/dev/xvda4", "/home", "btrfs"},
		{"/dev/xvda4", "/var", "btrfs"}, // another subvolume of it
		{"tank/data", "/tank", "zfs"},
		{"/dev/xvda5", "/old", "ext3"},
		{"/dev/xvda6", "/older", "ext2"},
		{"/dev/drbd0", "/c", "ocfs2"},
		{"overlay", "/ov", "overlay"},
		{"/dev/xvda7", "/f", "f2fs"},
	}
	type verdict struct {
		Point  string
		Served guest.Answer
		Block  opt.Value[units.Bytes]
	}
	verdicts := func(systems []guest.FileSystem) (out []verdict) {
		for _, f := range systems {
			out = append(out, verdict{f.Point, f.Served, f.BlockSize})
			if f.Why == "" {
				t.Errorf("%s: no reason", f.Point)
			}
		}
		return out
	}
	page, none := opt.Of[units.Bytes](4096), opt.Value[units.Bytes]{}
	want := []verdict{
		{"/", guest.Yes, page},
		{"/boot", guest.No, opt.Of[units.Bytes](1024)},
		{"/srv", guest.No, none},
		{"/home", guest.Yes, page},
		{"/tank", guest.No, none},
		{"/old", guest.CouldNotTell, none}, // statfs failed
		{"/older", guest.CouldNotTell, none},
		{"/c", guest.Yes, page},
		{"/f", guest.No, none},
	}
	same := cmp.Comparer(func(a, b opt.Value[units.Bytes]) bool { return a == b })
	if diff := cmp.Diff(want, verdicts(guest.FileSystems(mounts, size)), same); diff != "" {
		t.Error(diff)
	}
	// Of a recording the size of blocks is not known; btrfs's are pages.
	for _, v := range verdicts(guest.FileSystems(mounts, nil)) {
		want := map[string]guest.Answer{"/srv": guest.No, "/tank": guest.No, "/f": guest.No, "/home": guest.Yes}[v.Point]
		if want == "" {
			want = guest.CouldNotTell
		}
		if v.Served != want {
			t.Errorf("recorded %s: %s, want %s", v.Point, v.Served, want)
		}
	}
}
