package pci_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/pci"
)

// booted is a virtual machine as its kernel showed it: testdata/README.
type booted struct {
	devices []pci.Device
	groups  string            // one a line, as short writes them
	parents map[string]string // "" on a root bus
}

func readBooted(t *testing.T, name string) booted {
	t.Helper()
	b := booted{devices: readDump(t, name), parents: map[string]string{}}
	members := map[int][]string{}
	lines := bufio.NewScanner(strings.NewReader(readFile(t, "qemu-"+name+".kernel.txt")))
	for lines.Scan() {
		var device, path string
		var group int
		if _, err := fmt.Sscan(lines.Text(), &device, &group, &path); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		members[group] = append(members[group], strings.TrimPrefix(device, "0000:"))
		folders := strings.Split(path, "/")
		b.parents[device] = ""
		if above := folders[len(folders)-2]; !strings.HasPrefix(above, "pci") {
			b.parents[device] = above
		}
	}
	groups := make([]string, 0, len(members))
	for _, m := range members {
		groups = append(groups, strings.Join(m, " "))
	}
	slices.Sort(groups)
	b.groups = strings.Join(groups, "\n")
	return b
}

func readDump(t *testing.T, name string) []pci.Device {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(readFile(t, "qemu-"+name+".dump.gz")))
	if err != nil {
		t.Fatal(err)
	}
	dump, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := pci.ParseDump(dump)
	if err != nil {
		t.Fatal(err)
	}
	return devices
}

// TestAssumeEnabled: a kernel that leaves the IOMMU alone leaves access control
// off too; what it would make of it is foreseen.
func TestAssumeEnabled(t *testing.T) {
	with := readBooted(t, "switches").groups
	off := pci.NewTopology(readDump(t, "switches-off"))
	now, err := off.ComputedGroups(pci.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if short(now) == with {
		t.Error("nothing was off in this boot")
	}
	then, err := off.ComputedGroups(pci.Rules{AssumeEnabled: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(with, short(then)); diff != "" {
		t.Errorf("(-kernel that drives it +foreseen):\n%s", diff)
	}
}

// TestComputedEqualsKernel compares with two kernels that drove the IOMMU:
// the groups, and who stands below whom by bus numbers alone.
func TestComputedEqualsKernel(t *testing.T) {
	for _, c := range []struct {
		name            string
		devices, groups int
	}{
		{"board", 25, 20},
		{"switches", 39, 19},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := readBooted(t, c.name)
			topology := pci.NewTopology(b.devices)
			groups, err := topology.ComputedGroups(pci.Rules{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.groups, short(groups)); diff != "" {
				t.Errorf("groups (-kernel +computed):\n%s", diff)
			}
			if len(b.devices) != c.devices || len(groups) != c.groups {
				t.Errorf("%d devices in %d groups, want %d in %d", len(b.devices), len(groups), c.devices, c.groups)
			}
			for device, want := range b.parents {
				a, err := pci.ParseAddress(device)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				if p := topology.Parent(a); p != nil {
					got = p.Address.String()
				}
				if got != want {
					t.Errorf("above %s stands %q, the kernel says %q", device, got, want)
				}
			}
			for _, d := range b.devices {
				if d.Capabilities.Broken != "" {
					t.Errorf("%s: %s", d.Address, d.Capabilities.Broken)
				}
			}
		})
	}
}
