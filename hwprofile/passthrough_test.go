package hwprofile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile"
	"xtm/hwprofile/acpi"
	"xtm/hwprofile/acpi/acpitest"
	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/run/runtest"
)

func address(t *testing.T, s string) pci.Address {
	t.Helper()
	a, err := pci.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func readiness(t *testing.T, p hwprofile.Profile, at string) hwprofile.Readiness {
	t.Helper()
	for _, r := range p.Passthrough {
		if r.Address == address(t, at) {
			return r
		}
	}
	t.Fatalf("no device %s", at)
	return hwprofile.Readiness{}
}

func reason(r hwprofile.Readiness, check string) finding.Finding {
	for _, f := range r.Reasons {
		if f.Check == check {
			return f
		}
	}
	return finding.Finding{}
}

// TestFireWire is scenario 11, in Dom0 and on bare Linux, which has the quirk.
func TestFireWire(t *testing.T) {
	p := read(t, hwtest.X10SAE())
	r := readiness(t, p, "05:03.0")
	f := reason(r, "requester-id")
	for _, want := range []string{"0000:04:00.0", "10e3:8113", "no PCI Express capability", "must go together", "0000:05:00.0, which Xen does not map"} {
		if !strings.Contains(f.Seen, want) {
			t.Errorf("%q does not say %q", f.Seen, want)
		}
	}
	if r.Answer != hwprofile.NotReady {
		t.Errorf("in Dom0 it is %s", r.Answer)
	}
	for _, at := range []string{"05:03.0", "00:1c.0", "00:1f.0"} { // the device, a bridge, LPC
		_, err := p.Commands([]pci.Address{address(t, at)}, []hwprofile.Guard{hwprofile.GuardGroup})
		if !errors.Is(err, cause.ErrNotSupported) {
			t.Errorf("%s: insisting gives %v", at, err)
		}
	}
	if r := readiness(t, read(t, driven(bare(), "")), "05:03.0"); r.Answer != hwprofile.Conditional {
		t.Errorf("on bare Linux it is %s", r.Answer)
	}
}

// TestGuards is scenario 12.
func TestGuards(t *testing.T) {
	p := read(t, hwtest.X10SAE())
	for _, c := range []struct {
		at, chain string
		guard     hwprofile.Guard
		answer    hwprofile.Answer
	}{
		{"00:1f.2", "/ (ext4) → dm-1 → dm-0 → sda1 → sda", hwprofile.GuardBootDisk, hwprofile.NotReady},
		{"00:19.0", "default route (IPv4) → xenbr0 → bond0 → eth0", hwprofile.GuardDefaultRoute, hwprofile.NotReady},
		{"07:00.0", "/var/lib/xen/images (ext4) → sdb1 → sdb", hwprofile.GuardDisk, hwprofile.NotReady},
		{"00:02.0", "display", hwprofile.GuardBootVGA, hwprofile.NotReady},
		{"01:00.0", "", "", hwprofile.Ready},
		{"03:00.0", "", "", hwprofile.Ready},
	} {
		r := readiness(t, p, c.at)
		if r.Answer != c.answer || !strings.Contains(reason(r, string(c.guard)).Seen, c.chain) {
			t.Errorf("%s is %s: %+v", c.at, r.Answer, r.Reasons)
		}
		_, err := p.Commands([]pci.Address{r.Address}, nil)
		if (err == nil) != (c.answer == hwprofile.Ready) {
			t.Errorf("%s: commands: %v", c.at, err)
		}
		if err != nil && !strings.Contains(err.Error(), "--force "+string(c.guard)) {
			t.Errorf("%s: %v", c.at, err)
		}
	}
}

// TestWhatCannotBeFollowed: a root file system of which nobody knows the disk
// makes every storage controller a suspect, and so do routes.
func TestWhatCannotBeFollowed(t *testing.T) {
	m := hwtest.X10SAE()
	m.Files["/proc/self/mountinfo"] = "22 1 0:25 / / rw,relatime shared:1 - zfs rpool/ROOT rw\n"
	m.Files["/proc/net/route"] = strings.Replace(m.Files["/proc/net/route"], "xenbr0", "tun0", 1)
	p := read(t, m)
	for at, guard := range map[string]hwprofile.Guard{
		"01:00.0": hwprofile.GuardBootDisk, "07:00.0": hwprofile.GuardBootDisk, "00:1f.2": hwprofile.GuardBootDisk,
		"00:19.0": hwprofile.GuardDefaultRoute, "03:00.0": hwprofile.GuardDefaultRoute,
	} {
		if r := readiness(t, p, at); r.Answer != hwprofile.NotReady || !strings.Contains(reason(r, string(guard)).Seen, "could not be followed") {
			t.Errorf("%s is %s: %+v", at, r.Answer, r.Reasons)
		}
	}
}

// TestMoreUses: swap, a disk of a guest, NFS, IPv6, consoles, a keyboard.
func TestMoreUses(t *testing.T) {
	m := hwtest.X10SAE()
	m.Files["/proc/self/mountinfo"] += "30 22 0:40 / /srv rw - nfs4 nas:/srv rw,vers=4.2,addr=10.1.2.3\n"
	m.Files["/proc/net/route"] += "eth1\t0002010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	m.Files["/proc/swaps"] += "/dev/sdc2                               partition\t1000\t0\t-2\n"
	m.Links["/sys/class/block/sdc2"] = "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/host1/block/sdc/sdc2"
	m.Files["/sys/class/input/README"] = ""
	m.Files["/sys/devices/pci0000:00/0000:00:1c.6/0000:06:00.0/usb1/input/input3/capabilities/key"] = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n"
	m.Links["/sys/class/input/input3"] = "../../devices/pci0000:00/0000:00:1c.6/0000:06:00.0/usb1/input/input3"
	info := strings.Replace(hwtest.XLInfo, "dom0_mem=", "com1=115200,8n1,amt console=com1 dom0_mem=", 1)
	m.XL.On("xl info", runtest.Answer{Stdout: info})
	p := read(t, m)
	for at, guard := range map[string]hwprofile.Guard{
		"03:00.0": hwprofile.GuardNetworkDisk, "01:00.0": hwprofile.GuardBootDisk,
		"06:00.0": hwprofile.GuardKeyboard, "00:16.3": hwprofile.GuardConsole,
	} {
		if r := readiness(t, p, at); r.Answer != hwprofile.NotReady || reason(r, string(guard)).Verdict != finding.Bad {
			t.Errorf("%s is %s: %+v", at, r.Answer, r.Reasons)
		}
	}
	// Its other function cannot be kept apart from the console.
	if r := readiness(t, p, "00:16.0"); r.Answer != hwprofile.NotReady || reason(r, "group").Verdict != finding.Bad {
		t.Errorf("00:16.0 is %s: %+v", r.Answer, r.Reasons)
	}
}

// TestWhoHoldsIt: xenstore's backends, in the words of Xen 4.17.
func TestWhoHoldsIt(t *testing.T) {
	m := hwtest.X10SAE()
	m.Files["/sys/dev/README"] = ""
	m.XL.On("xenstore-ls -f /local/domain/0/backend", runtest.Answer{Stdout: `/local/domain/0/backend = ""
/local/domain/0/backend/pci = ""
/local/domain/0/backend/pci/3 = ""
/local/domain/0/backend/pci/3/0 = ""
/local/domain/0/backend/pci/3/0/dev-0 = "0000:03:00.0"
/local/domain/0/backend/pci/3/0/state-0 = "3"
/local/domain/0/backend/vbd/5/51712/params = "/dev/sdd"
/local/domain/0/backend/vbd/5/51712/physical-device = "8:30"
`})
	m.Links["/sys/dev/block/8:48"] = "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/host1/block/sdd"
	m.Links["/sys/class/block/sdd"] = "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/host1/block/sdd"
	m.PCI = slices.Clone(m.PCI)
	for i := range m.PCI {
		if m.PCI[i].At == "06:00.0" {
			m.PCI[i].Driver = "pciback"
		}
	}
	p := read(t, m)
	if r := readiness(t, p, "03:00.0"); !r.Impossible || !strings.Contains(reason(r, "in-use").Seen, "domain 3") {
		t.Errorf("03:00.0: %+v", r)
	}
	if r := readiness(t, p, "01:00.0"); !strings.Contains(reason(r, "disk").Seen, "a disk of domain 5") {
		t.Errorf("01:00.0: %+v", r)
	}
	if r := readiness(t, p, "06:00.0"); r.Answer != hwprofile.Ready || !strings.Contains(reason(r, "driver").Seen, "hidden from Dom0 already") {
		t.Errorf("06:00.0: %+v", r)
	}
}

// TestReservedMemory is scenario 13.
func TestReservedMemory(t *testing.T) {
	for version, line := range map[string]string{"4.17": "pci = [ '0000:00:14.0,rdm_policy=relaxed' ]", "4.4": "pci = [ '0000:00:14.0' ]"} {
		m := hwtest.X10SAE()
		m.XL.On("xl info", xlInfo(version, "hvm hvm_directio"))
		p := read(t, m)
		r := readiness(t, p, "00:14.0")
		f := reason(r, "rmrr-shared")
		if !strings.Contains(f.Seen, "together with 0000:00:1a.0, 0000:00:1d.0") || !strings.Contains(f.Advice, "not secure") {
			t.Errorf("%+v", f)
		}
		if _, err := p.Commands([]pci.Address{r.Address}, nil); err == nil {
			t.Error("commands before the user accepts it")
		}
		c, err := p.Commands([]pci.Address{r.Address}, []hwprofile.Guard{hwprofile.GuardRMRR})
		if err != nil || c.Guest != line {
			t.Errorf("Xen %s: %q, %v", version, c.Guest, err)
		}
		graphics := reason(readiness(t, p, "00:02.0"), "reserved-memory")
		if graphics.Verdict != finding.Note {
			t.Errorf("the graphics' own range: %+v", graphics)
		}
	}
}

// TestDrift is scenario 15, second half: the card in the CPU's slot is taken
// out, and every bus behind it gets a lower number.
func TestDrift(t *testing.T) {
	before := read(t, hwtest.X10SAE())
	saved := before.Identities([]pci.Address{address(t, "03:00.0"), address(t, "01:00.0"), address(t, "06:00.0"), address(t, "00:19.0")})
	m := hwtest.X10SAE()
	m.PCI = withoutHBA(m.PCI)
	for name, to := range m.Links { // disks and cards stand where their buses are now
		m.Links[name] = strings.NewReplacer("0000:07:00.0", "0000:06:00.0", "0000:03:00.0", "0000:02:00.0").Replace(to)
	}
	for name, text := range m.Files {
		moved := strings.NewReplacer("0000:07:00.0", "0000:06:00.0", "0000:03:00.0", "0000:02:00.0").Replace(name)
		delete(m.Files, name)
		m.Files[moved] = text
	}
	after := read(t, m)
	got := map[string]finding.Finding{}
	for _, f := range after.Compare(saved) {
		got[f.Subject] = f
	}
	if f := got["0000:03:00.0"]; !strings.Contains(f.Seen, "moved to 0000:02:00.0") || f.Verdict != finding.Dangerous ||
		!strings.Contains(f.Seen, "its old address is now that of") {
		t.Errorf("I210: %+v", f)
	}
	if f := got["0000:01:00.0"]; f.Verdict != finding.Warning || !strings.Contains(f.Seen, "gone") {
		t.Errorf("HBA: %+v", f)
	}
	if f := got["0000:06:00.0"]; f.Verdict != finding.Dangerous || !strings.Contains(f.Seen, "0000:05:00.0") {
		t.Errorf("USB, whose old address is the disks' now: %+v", f)
	}
	if f := got["0000:00:19.0"]; f.Verdict != finding.Good {
		t.Errorf("I217: %+v", f)
	}
	for _, f := range before.Compare(saved) {
		if f.Verdict != finding.Good {
			t.Errorf("nothing changed, but %+v", f)
		}
	}
	c, err := after.Commands([]pci.Address{address(t, "02:00.0")}, nil)
	if err != nil || !strings.Contains(strings.Join(c.Hide, "\n"), "hide=(0000:02:00.0)") {
		t.Errorf("%v, %v", c.Hide, err)
	}
}

// withoutHBA takes the card out of the CPU's slot: bus 2 and up move down.
func withoutHBA(h pcitest.Host) pcitest.Host {
	var out pcitest.Host
	for _, d := range h {
		if d.At == "01:00.0" {
			continue
		}
		a := d.Address()
		if a.Bus > 2 {
			a.Bus--
			d.At = a.String()
		}
		if a.Bus == 2 && d.At == "03:00.0" {
			d.At = "02:00.0"
		}
		for _, b := range []*uint8{&d.Primary, &d.Secondary, &d.Subordinate} {
			if *b > 2 {
				*b--
			}
		}
		if d.At == "00:1c.0" { // the empty slot keeps a number of its own
			d.Secondary, d.Subordinate = 0x20, 0x20
		}
		out = append(out, d)
	}
	return out
}

// TestGroupGoesTogether: what cannot be kept apart is in one set of lines.
func TestGroupGoesTogether(t *testing.T) {
	p := read(t, hwtest.X10SAE())
	c, err := p.Commands([]pci.Address{address(t, "00:16.0")}, nil)
	want := []pci.Address{address(t, "00:16.0"), address(t, "00:16.3")}
	if diff := cmp.Diff(want, c.Devices); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestSharing: a line interrupt and a page of registers that two devices share.
func TestSharing(t *testing.T) {
	m := hwtest.X10SAE()
	m.PCI = slices.Clone(m.PCI)
	for i := range m.PCI {
		switch d := &m.PCI[i]; d.At {
		case "00:1a.0", "00:1d.0":
			d.IRQ = 16
			d.Resources = []pci.Resource{{Index: 0, Start: 0xf7f38000 + uint64(d.At[4])<<4, End: 0xf7f38000 + uint64(d.At[4])<<4 + 0xff, Flags: pcitest.Mem}}
		case "00:1b.0": // a whole page beside them
			d.Resources = []pci.Resource{{Index: 0, Start: 0xf7f39000, End: 0xf7f39fff, Flags: pcitest.Mem}}
		}
	}
	p := read(t, m)
	for at, other := range map[string]string{"00:1a.0": "0000:00:1d.0", "00:1d.0": "0000:00:1a.0"} {
		r := readiness(t, p, at)
		for _, check := range []string{"interrupt", "register-page"} {
			if f := reason(r, check); f.Verdict != finding.Warning || !strings.Contains(f.Seen, other) {
				t.Errorf("%s: %+v", at, f)
			}
		}
	}
	if r := readiness(t, p, "00:1b.0"); r.Answer != hwprofile.Ready {
		t.Errorf("00:1b.0: %+v", r)
	}
}

// TestNoUnit: a device that the firmware names no unit for is not to be had.
func TestNoUnit(t *testing.T) {
	intel, amd := hwtest.X10SAE(), amdHost(t)
	table := acpitest.X10SAE()
	for i := range table.Units {
		table.Units[i].IncludeAll = false
	}
	intel.Files["/sys/firmware/acpi/tables/RMAD"] = string(acpitest.DMAR(acpi.SignatureRMAD, table))
	units := amdTable(t)
	for i := range units.Units {
		units.Units[i].Entries = []acpi.AMDEntry{
			{Kind: acpi.AMDRange, First: address(t, "01:00.0"), Last: address(t, "01:00.0")},
			{Kind: acpi.AMDRange, First: address(t, "03:00.0"), Last: address(t, "03:00.0")},
		}
	}
	amd.Files["/sys/firmware/acpi/tables/IVRS"] = string(acpitest.IVRS(units))
	for _, c := range []struct {
		host   *hwtest.Machine
		at     string
		served bool
	}{{intel, "00:02.0", true}, {intel, "00:14.0", false}, {amd, "01:00.0", true}, {amd, "02:00.0", false}, {amd, "03:00.3", true}} {
		r := readiness(t, read(t, c.host), c.at)
		if f := reason(r, "iommu-unit"); r.Impossible == c.served || (f.Verdict == finding.Bad) == c.served {
			t.Errorf("%s is %s: %+v", c.at, r.Answer, r.Reasons)
		}
	}
}
