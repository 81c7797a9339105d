//go:build xen

package libvirt_test

import (
	"os/exec"
	"strings"
	"testing"

	"xtm/internal/cause"
	"xtm/xen/libvirt"
)

// TestLive needs a real Dom0 with a libvirtd: go test -c -tags xen, and run it
// there as root.
func TestLive(t *testing.T) {
	s, err := libvirt.New(libvirt.Local, libvirt.XenSystem).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Domains {
		t.Logf("%+v", d)
	}
	for _, g := range s.Gaps {
		t.Logf("%+v", g)
		if g.Cause != cause.NotSupported {
			t.Errorf("a gap that is not libvirt's nature: %+v", g)
		}
	}
	t.Logf("%+v, tmem %+v", s.Host, s.TmemState)
	for _, command := range []string{"virsh -c xen:///system list", "virsh -c xen:///system nodeinfo", "virsh -c xen:///system freecell", "xl list", "xl info"} {
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		t.Logf("%s: %v\n%s", command, err, out)
	}
	if len(s.Domains) < 2 || s.Domains[0].Name != "Domain-0" || !s.Domains[0].Current.Has() || !s.Host.Total.Has() || !s.Host.Free.Has() {
		t.Errorf("%+v", s)
	}
	list, err := exec.Command("virsh", "-c", "xen:///system", "list", "--name").Output()
	if err != nil || len(strings.Fields(string(list))) != len(s.Domains) {
		t.Errorf("virsh lists %q, %v", list, err)
	}
}
