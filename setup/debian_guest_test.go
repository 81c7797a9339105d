package setup

import (
	"os"
	"slices"
	"strings"
	"testing"

	"xtm/internal/run"

	"github.com/google/go-cmp/cmp"
)

// TestDebianGuest does the same in a guest that boots a kernel of its own, here
// Debian's under the name and with the configuration of a 4.19.
func TestDebianGuest(t *testing.T) {
	m := debian(t)
	plan := func() (Plan, error) {
		t.Helper()
		g, err := ProbeGuest(m)
		if err != nil {
			t.Fatal(err)
		}
		return PlanGuest(g, GuestOptions{Program: "/usr/bin/xtm"})
	}
	sh := run.Cmd{Name: "sh", Args: []string{"-ec", `cd "$1"
ln -s /lib/systemd/systemd sbin/init
rm boot/xen-4.17*
`, "sh", string(m.Root)}}
	do := func(c run.Cmd) {
		t.Helper()
		_, err := m.Run.Checked(t.Context(), c)
		if err == nil {
			err = m.run(t.Context(), []string{"update-grub"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	do(sh)
	if _, err := plan(); err == nil || !strings.Contains(err.Error(), "removed in 5.3") {
		t.Errorf("Debian 12's own kernel: %v", err)
	}
	sh.Args[1] = `cd "$1/boot"
for f in vmlinuz initrd.img; do mv $f-6.* $f-4.19.0-lab; done
rm -f config-* System.map-*
printf 'CONFIG_XEN=y\nCONFIG_SWAP=y\nCONFIG_CLEANCACHE=y\nCONFIG_FRONTSWAP=y\nCONFIG_XEN_BALLOON=y\nCONFIG_XEN_SELFBALLOONING=y\nCONFIG_XEN_TMEM=m\n' > config-4.19.0-lab
d=../lib/modules/4.19.0-lab; mkdir -p $d/kernel/drivers/xen
: > $d/kernel/drivers/xen/tmem.ko; echo kernel/drivers/xen/tmem.ko: > $d/modules.dep
`
	do(sh)
	if _, err := plan(); err == nil || !strings.Contains(err.Error(), "/etc/fstab has no swap area") {
		t.Errorf("without swap: %v", err)
	}
	inRoot(t, m, "/etc/fstab", func(s string) string { return s + "/dev/xvdb none swap sw 0 0\n" })
	before := live(t, m.Root)
	p, err := plan()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	entries := 0
	for line := range strings.Lines(live(t, m.Root)["boot/grub/grub.cfg"]) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "linux" {
			continue
		}
		entries++
		if !slices.Contains(words, "tmem") {
			t.Errorf("without tmem: %s", line)
		}
	}
	if entries != 3 {
		t.Errorf("%d entries of Linux, want the simple one, the normal one and its recovery", entries)
	}
	undone(t, m, before, plan)
	initScriptThere(t, m, plan)
}

// undone makes sure that a second run changes nothing, and that disabling puts
// all back.
func undone(t *testing.T, m Machine, before map[string]string, plan func() (Plan, error)) {
	t.Helper()
	p, err := plan()
	if err != nil || !p.Done() {
		t.Errorf("a second run would change something: %v\n%s", err, p.Diff())
	}
	if p, err = PlanDisable(m, "guest"); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, live(t, m.Root)); diff != "" {
		t.Errorf("after disabling: %s", diff)
	}
}

// initScriptThere takes systemd away, so that Debian's update-rc.d enters the
// guard.
func initScriptThere(t *testing.T, m Machine, plan func() (Plan, error)) {
	t.Helper()
	init, err := m.Root.Path("/usr/sbin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(init + "/init"); err != nil {
		t.Fatal(err)
	}
	inRoot(t, m, "/etc/modules", func(string) string { return "# nothing\nloop" })
	before := live(t, m.Root)
	p, err := plan()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m, p); err != nil {
		t.Fatal(err)
	}
	after := live(t, m.Root)
	if got := after["etc/modules"]; got != "# nothing\nloop\ntmem" {
		t.Errorf("/etc/modules is %q", got)
	}
	for level, want := range map[string]string{"0": "", "1": "", "2": "../init.d/xtm-guard", "3": "../init.d/xtm-guard", "5": "../init.d/xtm-guard", "6": ""} {
		if got := after["etc/rc"+level+".d/S01xtm-guard"]; got != want {
			t.Errorf("runlevel %s: %q", level, got)
		}
	}
	// The real shell reads it; outside Xen it leaves all as it is.
	if err := m.run(t.Context(), []string{"sh", "-c", "test -x /etc/init.d/xtm-guard && sh -n /etc/init.d/xtm-guard && /etc/init.d/xtm-guard stop"}); err != nil {
		t.Error(err)
	}
	undone(t, m, before, plan)
}
