package hostfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/hostfs"
)

const secret = "outside\n"

// planted is a root with links that try to lead out of it, beside a folder
// that no reader may see and no writer may touch.
func planted(t *testing.T) (root hostfs.Root, outside string) {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "root")
	outside = filepath.Join(top, "outside")
	for _, d := range []string{filepath.Join(dir, "etc/default"), filepath.Join(dir, "deep/er"), outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/default/grub"), []byte("inside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"abs":          outside + "/secret",
		"absdir":       outside,
		"climb":        "../outside/secret",
		"deep/er/high": "../../../../../../../../" + strings.TrimPrefix(outside, "/") + "/secret",
		"chain":        "absdir/secret",
		"good":         "/etc/default/grub", // absolute: from the root's own top
		"loop":         "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return hostfs.Root(dir), outside
}

func TestLinksStayInside(t *testing.T) {
	root, outside := planted(t)
	for _, p := range []string{
		"/abs", "abs", "/absdir/secret", "/climb", "/deep/er/high", "/chain",
		"../outside/secret", "/../outside/secret", "/etc/../../outside/secret", "/absdir/../outside/secret",
	} {
		if b, _ := root.ReadFile(p); string(b) == secret {
			t.Errorf("ReadFile(%s) read the file outside", p)
		}
		real, err := root.Path(p)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(string(root), real); err != nil || strings.HasPrefix(rel, "..") {
			t.Errorf("Path(%s) = %s, outside the root", p, real)
		}
		// What writes goes by Path too: it must land inside.
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(real, []byte("written"), 0o644); err != nil {
			t.Fatal(err)
		}
		if b, err := root.ReadFile(p); string(b) != "written" || err != nil {
			t.Errorf("ReadFile(%s) after writing to Path: %q, %v", p, b, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(outside, "secret"))
	if err != nil || string(b) != secret {
		t.Errorf("the file outside is now %q, %v", b, err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder outside now holds %v, %v", entries, err)
	}
}

func TestRoot(t *testing.T) {
	root, _ := planted(t)
	b, err := root.ReadFile("/good")
	if err != nil || string(b) != "inside\n" {
		t.Errorf("an absolute link counts from the root's top: %q, %v", b, err)
	}
	names, err := root.ReadDir("/etc")
	if diff := cmp.Diff([]string{"default"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if target, err := root.Readlink("/good"); target != "/etc/default/grub" || err != nil {
		t.Errorf("Readlink = %q, %v", target, err)
	}
	for p, want := range map[string]bool{"/good": true, "/etc": true, "/none": false, "/abs": false} {
		if got, err := root.Exists(p); got != want || err != nil {
			t.Errorf("Exists(%s) = %v, %v", p, got, err)
		}
	}
	if _, err := root.ReadFile("/loop"); err == nil {
		t.Error("a link to itself was read")
	}
	_, err = root.ReadFile("/none/such")
	pe, ok := errors.AsType[*fs.PathError](err)
	if !ok || pe.Path != "/none/such" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error names %v, want the host's own path", err)
	}
	if strings.Contains(err.Error(), string(root)) {
		t.Errorf("the error tells where the root lies: %v", err)
	}
}

func TestHostIsHost(t *testing.T) {
	for root, want := range map[hostfs.Root]bool{"/": true, "//": true, "/.": true, "/mnt": false} {
		if root.IsHost() != want {
			t.Errorf("Root(%q).IsHost() = %v", root, !want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, hostfs.MaxFile+1); err != nil { // sparse
		t.Fatal(err)
	}
	b, err := hostfs.Root(dir).ReadFile("/big")
	if !errors.Is(err, hostfs.ErrTooLarge) || b != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestFromFS(t *testing.T) {
	files := hostfs.FromFS(fstest.MapFS{
		"proc/xen/capabilities": {Data: []byte("control_d\n")},
		"proc/xen/privcmd":      {},
		"proc/link":             {Data: []byte("xen/capabilities"), Mode: fs.ModeSymlink},
	})
	b, err := files.ReadFile("/proc/xen/capabilities")
	if string(b) != "control_d\n" || err != nil {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
	names, err := files.ReadDir("/proc/xen")
	if diff := cmp.Diff([]string{"capabilities", "privcmd"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if target, err := files.Readlink("/proc/link"); target != "xen/capabilities" || err != nil {
		t.Errorf("Readlink = %q, %v", target, err)
	}
	if ok, err := files.Exists("/"); !ok || err != nil {
		t.Errorf("Exists(/) = %v, %v", ok, err)
	}
	if ok, err := files.Exists("/sys/hypervisor"); ok || err != nil {
		t.Errorf("Exists(/sys/hypervisor) = %v, %v", ok, err)
	}
	_, err = files.ReadFile("/sys/hypervisor/type")
	if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != "/sys/hypervisor/type" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
