package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"xtm/internal/hostfs"
	"xtm/internal/needs"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree makes a root: a name that ends in "/" is a folder, a text that begins
// with "-> " a symbolic link.
func tree(t *testing.T, files map[string]string) hostfs.Root {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case name[len(name)-1] == '/':
			err = os.MkdirAll(at, 0o755)
		case len(text) > 3 && text[:3] == "-> ":
			err = os.Symlink(text[3:], at)
		default:
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return hostfs.Root(root)
}

// contents is every file below a folder; links are shown as what they say.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			entries, err := os.ReadDir(path)
			if err != nil {
				return err
			}
			if len(entries) == 0 {
				got[rel+"/"] = ""
			}
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			got[rel] = "-> " + to
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			got[rel] = string(b)
		default:
			got[rel] = d.Type().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestReplace(t *testing.T) {
	for _, tt := range []struct {
		name         string
		before, want map[string]string
		path         string
	}{
		{"an existing file", map[string]string{"etc/f": "old"}, map[string]string{"etc/f": "new"}, "/etc/f"},
		{"a new file", map[string]string{"etc/": ""}, map[string]string{"etc/f": "new"}, "/etc/f"},
		{
			"a relative link stays",
			map[string]string{"etc/f": "-> ../srv/g", "srv/g": "old"},
			map[string]string{"etc/f": "-> ../srv/g", "srv/g": "new"},
			"/etc/f",
		},
		{
			"an absolute link stays inside the root",
			map[string]string{"etc/f": "-> /srv/g", "srv/g": "old"},
			map[string]string{"etc/f": "-> /srv/g", "srv/g": "new"},
			"/etc/f",
		},
		{
			"a climbing link stays inside the root",
			map[string]string{"etc/f": "-> ../../../../srv/g", "srv/g": "old"},
			map[string]string{"etc/f": "-> ../../../../srv/g", "srv/g": "new"},
			"/etc/f",
		},
		{
			"a linked folder",
			map[string]string{"etc/d": "-> /srv/e", "srv/e/f": "old"},
			map[string]string{"etc/d": "-> /srv/e", "srv/e/f": "new"},
			"/etc/d/f",
		},
		{
			"a link to a file that is not there yet",
			map[string]string{"etc/f": "-> /srv/g", "srv/": ""},
			map[string]string{"etc/f": "-> /srv/g", "srv/g": "new"},
			"/etc/f",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.before)
			if err := Replace(root, tt.path, []byte("new"), 0o644); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, contents(t, string(root))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLinksCannotLeadOut(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := tree(t, map[string]string{
		"etc/absolute": "-> " + victim, "etc/folder": "-> " + outside,
		"etc/climb": "-> ../../../../../../../../../../../.." + victim,
	})
	for _, path := range []string{"/etc/absolute", "/etc/folder/victim", "/etc/climb"} {
		// The folder is not there inside the root, so each of them fails.
		if err := Replace(root, path, []byte("hacked"), 0o644); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("replace %s: %v", path, err)
		}
		if err := Remove(root, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove %s: %v", path, err)
		}
	}
	if diff := cmp.Diff(map[string]string{"victim": "untouched"}, contents(t, outside)); diff != "" {
		t.Error(diff)
	}
}

func TestResolvesOnTheRunningMachine(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root := tree(t, map[string]string{"srv/g": "old", "etc/f": "-> ../srv/g"})
	link := filepath.Join(top, "link")
	if err := os.Symlink(filepath.Join(string(root), "etc/f"), link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(hostfs.Host, link, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"srv/g": "new", "etc/f": "-> ../srv/g"}, contents(t, string(root))); diff != "" {
		t.Error(diff)
	}
}

func TestAttributes(t *testing.T) {
	root := tree(t, map[string]string{"etc/f": "old"})
	at := filepath.Join(string(root), "etc/f")
	if os.Geteuid() == 0 {
		if err := os.Chown(at, 12345, 54321); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(at, 0o640|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	// security.* stands for an SELinux label, which only a kernel with SELinux
	// lets us set.
	attrs := map[string]string{"user.mine": "kept", "security.xtm": "label"}
	for name, v := range attrs {
		if err := unix.Setxattr(at, name, []byte(v), 0); err != nil {
			needs.Unmet(t, "extended attribute %s: %v", name, err)
		}
	}
	before := stat(t, at)
	if err := Replace(root, "/etc/f", []byte("new"), 0o777); err != nil {
		t.Fatal(err)
	}
	after := stat(t, at)
	if before.Mode != after.Mode || before.Uid != after.Uid || before.Gid != after.Gid {
		t.Errorf("mode %o uid %d gid %d, before mode %o uid %d gid %d",
			after.Mode, after.Uid, after.Gid, before.Mode, before.Uid, before.Gid)
	}
	for name, want := range attrs {
		b := make([]byte, 64)
		n, err := unix.Getxattr(at, name, b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("%s: %q, %v; want %q", name, b[:max(n, 0)], err, want)
		}
	}
}

func TestNewFileHasTheModeWhateverTheUmask(t *testing.T) {
	root := tree(t, map[string]string{"etc/": ""})
	defer unix.Umask(unix.Umask(0o077))
	if err := Replace(root, "/etc/f", []byte("new"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := stat(t, filepath.Join(string(root), "etc/f")).Mode & 0o7777; got != 0o755 {
		t.Errorf("mode %o", got)
	}
}

func TestRefusesWhatIsNoRegularFile(t *testing.T) {
	root := tree(t, map[string]string{"etc/d/": "", "etc/link": "-> pipe", "etc/a": "-> b", "etc/b": "-> a"})
	if err := unix.Mkfifo(filepath.Join(string(root), "etc/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, string(root))
	for _, path := range []string{"/etc/d", "/etc/pipe", "/etc/link"} {
		if err := Replace(root, path, nil, 0o644); !errors.Is(err, ErrNotRegular) {
			t.Errorf("replace %s: %v", path, err)
		}
		if err := Remove(root, path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("remove %s: %v", path, err)
		}
		if _, err := Backup(root, time.Unix(0, 0), path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("back up %s: %v", path, err)
		}
	}
	if err := Replace(root, "/etc/a", nil, 0o644); !errors.Is(err, unix.ELOOP) {
		t.Errorf("links in a circle: %v", err)
	}
	if diff := cmp.Diff(before, contents(t, string(root))); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsNameThePathOnce(t *testing.T) {
	root := tree(t, map[string]string{"etc/d/": ""})
	for _, tt := range []struct{ err, want string }{
		{text(Replace(root, "/etc/d", nil, 0o644)), "replace /etc/d: not a regular file"},
		{text(Replace(root, "no/such/f", nil, 0o644)), "replace /no/such/f: no such file or directory"},
		{text(Remove(root, "/etc/f")), "remove /etc/f: no such file or directory"},
	} {
		if tt.err != tt.want {
			t.Errorf("got  %s\nwant %s", tt.err, tt.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestBackup(t *testing.T) {
	root := tree(t, map[string]string{"etc/default/grub": "-> /srv/grub", "srv/grub": "old"})
	if err := os.Chmod(filepath.Join(string(root), "srv/grub"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 16, 4, 5, 0, time.FixedZone("CET", 3600))
	const want = "/var/lib/xtm/backup/20261122T150405Z/etc/default/grub"
	got, err := Backup(root, at, "/etc/default/grub")
	if err != nil || got != want {
		t.Fatalf("%s, %v", got, err)
	}
	if b, err := root.ReadFile(got); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	if mode := stat(t, filepath.Join(string(root), want)).Mode & 0o7777; mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
	for dir, want := range map[string]uint32{"/var/lib": 0o755, "/var/lib/xtm": 0o700} {
		if mode := stat(t, filepath.Join(string(root), dir)).Mode & 0o7777; mode != want {
			t.Errorf("mode of %s: %o", dir, mode)
		}
	}
	if _, err := Backup(root, at, "/etc/default/grub"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second backup of the same time: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	root := tree(t, map[string]string{"etc/x": "-> /srv/y", "srv/": "", "etc/file": ""})
	if err := MkdirAll(root, "/etc/x/z", 0o755); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"etc/x": "-> /srv/y", "srv/y/z/": "", "etc/file": ""}, contents(t, string(root))); diff != "" {
		t.Error(diff)
	}
	if err := MkdirAll(root, "/etc/x/z", 0o755); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := MkdirAll(root, "/etc/file/z", 0o755); err == nil {
		t.Error("a folder below a file")
	}
}

func TestCleanLeavesTheLivingAndTheForeign(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/.xtm-tmp-111/.f123": "half", "etc/.xtm-tmp-222/.g456": "being written",
		"etc/.xtm-tmp-333": "a file of that name is nobody's leftover", "etc/f": "old", "etc/.f4": "mine",
	})
	lock, err := lockFolder(filepath.Join(string(root), "etc/.xtm-tmp-222"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Clean(root, "/etc/f"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etc/.xtm-tmp-222/.g456": "being written",
		"etc/.xtm-tmp-333":       "a file of that name is nobody's leftover", "etc/f": "old", "etc/.f4": "mine",
	}
	if diff := cmp.Diff(want, contents(t, string(root))); diff != "" {
		t.Error(diff)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Replace(root, "/etc/f", []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	delete(want, "etc/.xtm-tmp-222/.g456")
	want["etc/f"] = "new"
	if diff := cmp.Diff(want, contents(t, string(root))); diff != "" {
		t.Error(diff)
	}
	if err := Clean(root, "/no/such/folder/f"); err != nil {
		t.Error(err)
	}
}

func stat(t *testing.T, path string) syscall.Stat_t {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st
}
