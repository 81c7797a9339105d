package guest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// tree makes a root with files of the given sizes in KiB; sparse ones will do.
func tree(t *testing.T, sizes map[string]int64) guest.Disk {
	t.Helper()
	root := t.TempDir()
	for name, kib := range sizes {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(p, kib<<10); err != nil {
			t.Fatal(err)
		}
	}
	return guest.Disk{Root: hostfs.Root(root)}
}

func served(points ...string) []guest.FileSystem {
	var out []guest.FileSystem
	for _, p := range points {
		out = append(out, guest.FileSystem{Mount: guest.Mount{Point: p, Type: "ext4"}, Served: guest.Yes})
	}
	return out
}

func TestProofFiles(t *testing.T) {
	d := tree(t, map[string]int64{
		"boot/vmlinuz-4.19": 5000, "boot/initrd-4.19": 5000, "boot/config-4.19": 200,
		"usr/lib/modules/4.19/kernel/a.ko": 1023, "usr/lib/modules/4.19/kernel/b.ko": 1024,
		"usr/lib/libbig.so": 9000, "usr/share/x": 2000, "srv/data/y": 8000,
	})
	// A link leads nowhere that its target would not be found.
	if err := os.Symlink("/srv/data", filepath.Join(string(d.Root), "usr/share/z")); err != nil {
		t.Fatal(err)
	}
	got := d.ProofFiles(t.Context(), served("/"))
	want := []string{"/boot/initrd-4.19", "/usr/lib/modules/4.19/kernel/b.ko", "/usr/lib/libbig.so"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := d.ProofFiles(t.Context(), served("/")); !cmp.Equal(got, again) {
		t.Errorf("another choice: %v", again)
	}
	if got := d.ProofFiles(t.Context(), []guest.FileSystem{{Mount: guest.Mount{Point: "/"}, Served: guest.No}}); len(got) != 0 {
		t.Errorf("on a file system that is not served: %v", got)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if got := d.ProofFiles(cancelled, served("/")); len(got) != 0 {
		t.Errorf("after cancelling: %v", got)
	}
	d = tree(t, map[string]int64{"srv/data/y": 8000, "srv/data/x": 8000, "etc/fstab": 1})
	if got := d.ProofFiles(t.Context(), served("/srv", "/none")); !cmp.Equal(got, []string{"/srv/data/x"}) {
		t.Errorf("a file system of its own: %v", got)
	}
}

// The search of a large folder ends.
func TestProofFilesBounded(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "boot/many")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "a")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 5_001 {
		if err := os.Link(empty, filepath.Join(dir, fmt.Sprintf("f%05d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "zlast"), make([]byte, 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := (guest.Disk{Root: hostfs.Root(root)}).ProofFiles(t.Context(), served("/")); len(got) != 0 {
		t.Errorf("searched on to %v", got)
	}
}

// The real reading and forgetting, on this machine's file system; it has no
// cleancache, so that there are no counters.
func TestDisk(t *testing.T) {
	d := tree(t, map[string]int64{"boot/a": 2048, "boot/small": 1})
	for range 2 {
		if err := d.ReadFile("/boot/a", guest.ProofSize); err != nil {
			t.Error(err)
		}
		if err := d.Forget("/boot/a", guest.ProofSize); err != nil {
			t.Error(err)
		}
	}
	if err := d.ReadFile("/boot/small", guest.ProofSize); err == nil {
		t.Error("read 1 MiB of a file of 1 KiB")
	}
	for _, err := range []error{d.ReadFile("/none", 1), d.Forget("/none", 1)} {
		if cause.Of(err) != cause.NoData {
			t.Errorf("a file that is not there: %v", err)
		}
	}
	if size, err := d.BlockSize("/boot"); err != nil || size < 512 || size&(size-1) != 0 {
		t.Errorf("block size %d, %v", size, err)
	}
	if _, err := d.BlockSize("/none"); cause.Of(err) != cause.NoData {
		t.Errorf("the block size of nothing: %v", err)
	}
	if c, err := d.Counters(); err == nil {
		t.Errorf("counters of a root without debugfs: %+v", c)
	}
	p, err := guest.Prove(t.Context(), d, d.ProofFiles(t.Context(), served("/boot")))
	if p.Outcome != guest.Unclear || p.File != "/boot/a" || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}
