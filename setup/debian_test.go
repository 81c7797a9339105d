package setup

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"xtm/internal/cause"
	"xtm/internal/debroot"

	"github.com/google/go-cmp/cmp"
)

// debian is a Debian 12 with its own grub-mkconfig, kernel and Xen 4.17.
func debian(t *testing.T) Machine {
	t.Helper()
	root := debroot.New(t, os.Environ())
	root.Chroot(t, "sh", "-ec", "mv "+debroot.Linux+"/* /boot; for v in /boot/vmlinuz-*; do touch /boot/initrd.img-${v#/boot/vmlinuz-}; done")
	m := Machine{Root: root.Dir, Run: root.Run, Now: time.Now, Offline: true}
	if missing := m.Missing(); len(missing) > 0 {
		t.Fatalf("the root lacks %v", missing)
	}
	root.Chroot(t, "update-grub")
	return m
}

// inRoot changes a file of the root.
func inRoot(t *testing.T, m Machine, p string, edit func(string) string) {
	t.Helper()
	full, err := m.Root.Path(p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(full)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(edit(string(b))), 0o644); err != nil {
		t.Fatal(err)
	}
}

func planOf(t *testing.T, m Machine, o HostOptions) (Plan, error) {
	t.Helper()
	h, err := ProbeHost(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return PlanHost(h, o)
}

func refused(t *testing.T, m Machine, want cause.Kind, text string) {
	t.Helper()
	_, err := planOf(t, m, HostOptions{})
	r, ok := errors.AsType[*cause.RefusalError](err)
	if !ok || r.Kind != want || !strings.Contains(r.Error(), text) {
		t.Errorf("want %s, %q: %v", want, text, err)
	}
}

// TestDebianHost enables and disables tmem on a real Debian with the real
// update-grub.
func TestDebianHost(t *testing.T) {
	m := debian(t)
	refused(t, m, cause.Impossible, "removed in Xen 4.13")

	// The same images as a 4.11 whose configuration has tmem.
	boot, err := m.Root.Path("/boot")
	if err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"gz", "efi"} {
		if err := os.Rename(boot+"/xen-4.17-amd64."+ext, boot+"/xen-4.11-amd64."+ext); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(boot + "/xen-4.17-amd64.config"); err != nil {
		t.Fatal(err)
	}
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	refused(t, m, cause.Unsaid, "does not tell its release")
	config := func(text string) {
		inRoot(t, m, "/boot/xen-4.11-amd64.config", func(string) string { return text })
	}
	config("# Xen/x86 4.12.4 Configuration\n# CONFIG_TMEM is not set\n")
	refused(t, m, cause.Impossible, "built without tmem")
	config("# Xen/x86 4.11.4 Configuration\nCONFIG_TMEM=y\n")
	before := live(t, m.Root)

	p, err := planOf(t, m, HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Apply(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Seen != "" {
		t.Errorf("Debian's xen.cfg makes Xen the default, but: %s", out.Seen)
	}
	normal, recovery := 0, 0
	for line := range strings.Lines(live(t, m.Root)["boot/grub/grub.cfg"]) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "multiboot2" || !strings.HasPrefix(words[1], "/boot/xen-") {
			continue
		}
		if slices.Contains(words, "tmem") {
			normal++
		} else {
			recovery++
		}
	}
	// The simple entry, and one with its recovery for each of the two images.
	if normal != 3 || recovery != 2 {
		t.Errorf("%d lines of Xen have tmem and %d have not, want 3 and 2", normal, recovery)
	}

	if p, err = planOf(t, m, HostOptions{}); err != nil || !p.Done() {
		t.Errorf("a second run would change something: %v\n%s", err, p.Diff())
	}
	if p, err = PlanDisable(m, "host"); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, live(t, m.Root)); diff != "" {
		t.Errorf("after disabling: %s", diff)
	}

	// Linux boots by default: the change stays, and what mends it is named.
	inRoot(t, m, "/etc/default/grub.d/xen.cfg", func(s string) string { return "XEN_OVERRIDE_GRUB_DEFAULT=0\n" + s })
	if p, err = planOf(t, m, HostOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err = Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	want := "GRUB_DEFAULT='Debian GNU/Linux, with Xen hypervisor'"
	if len(out.Fix) == 0 || !strings.HasSuffix(out.Fix[0], want) {
		t.Errorf("want %q: %q, %q", want, out.Seen, out.Fix)
	}
	inRoot(t, m, "/etc/default/grub", func(s string) string { return s + "\n" + want + "\n" })
	if err := m.run(t.Context(), []string{"update-grub"}); err != nil {
		t.Fatal(err)
	}
	if seen, _, err := nextBoot(m.Root); err != nil || seen != "" {
		t.Errorf("the named line does not mend it: %q, %v", seen, err)
	}
}
