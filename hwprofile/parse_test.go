package hwprofile

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/hwtest"
	"xtm/hwprofile/pci"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// structures makes structures as firmware stores them; text is synthetic.
func structures(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// array is system memory with multi-bit correction.
var array = append([]byte{16, 23, 0, 0, 3, 3, 6, 0, 0, 0, 2, 0xfe, 0xff, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0)

// module is a memory device of 8 GiB, 72 bits wide for 64 of data.
func module(size, total, data uint16, slot string) []byte {
	b := make([]byte, 0x22)
	b[0], b[1] = 17, 0x22
	b[8], b[9], b[10], b[11] = byte(total), byte(total>>8), byte(data), byte(data>>8)
	b[12], b[13], b[16] = byte(size), byte(size>>8), 1
	return append(append(b, slot...), 0, 0)
}

var end = []byte{127, 4, 0, 0, 0, 0}

func TestMemoryModules(t *testing.T) {
	var m Memory
	err := m.parse(structures(array, module(8192, 72, 64, "P1-DIMMA1"), module(0, 72, 64, "empty one"), module(0x8000|512, 64, 64, "To Be Filled By O.E.M."), end, []byte("behind the end")))
	want := Memory{ECC: opt.Of("multi-bit ECC"), Modules: []Module{
		{Slot: "P1-DIMMA1", Size: 8192 * 1024, ECC: opt.Of(true)},
		{Size: 512, ECC: opt.Of(false)},
	}}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(opt.Value[string]{}, opt.Value[bool]{}, opt.Value[units.KiB]{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	m = Memory{}
	if err := m.parse(structures(array, module(8192, 72, 64, "A"))[:40]); err == nil || !m.ECC.Has() {
		t.Errorf("a table that is cut off: %v, %+v", err, m)
	}
}

func FuzzSMBIOS(f *testing.F) {
	f.Add(structures(array, module(8192, 72, 64, "P1-DIMMA1"), end))
	f.Add([]byte{17, 4, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		var m Memory
		_ = m.parse(b) // it ends and does not panic
	})
}

func FuzzCPUInfo(f *testing.F) {
	f.Add("processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 60\nmicrocode : 0x17\nsiblings : 4\ncpu cores : 2\nflags : fpu aes\n")
	f.Add(hwtest.CPUInfo)
	f.Add("processor:\n")
	f.Add("processor\t: 0\nsiblings\t:\n")
	f.Fuzz(func(t *testing.T, text string) {
		cpus, err := cpuinfo(hostfs.FromFS(fstest.MapFS{"proc/cpuinfo": {Data: []byte(text)}}))
		if (err == nil) != (len(cpus) > 0) {
			t.Errorf("%d processors, %v", len(cpus), err)
		}
	})
}

// TestRoutes: lines of Linux 6.1.
func TestRoutes(t *testing.T) {
	routes := parseRoutes("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"down0\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"short\t00000000\n")
	var got []string
	for _, r := range routes {
		got = append(got, r.by+" "+r.to.String())
	}
	if diff := cmp.Diff([]string{"eth0 0.0.0.0/0", "eth1 192.0.2.0/24"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	by := defaultRoutes6("00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000021122fffe334455 00000400 00000001 00000000 00000003 eth2\n" +
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth3\n" +
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n")
	if diff := cmp.Diff([]string{"eth2"}, by); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzText(f *testing.F) {
	f.Add("22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root_crypt rw\n")
	f.Add("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
	f.Add("/local/domain/0/backend/pci/1/0/dev-0 = \"0000:01:00.0\"\n")
	f.Add("178bfbfd:82982203:20100800:00000001:00000000:00000000:00000000:00000000")
	f.Add("1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe")
	f.Add("/sys/devices/pci0000:00/0000:00:1c.3/0000:03:00.0")
	f.Fuzz(func(t *testing.T, text string) {
		parseMount(text)
		for _, r := range parseRoutes(text) {
			if !r.to.IsValid() {
				t.Errorf("route %v", r)
			}
		}
		defaultRoutes6(text)
		for a := range parseHeld(text).devices {
			if a.Device > 31 || a.Function > 7 {
				t.Errorf("device %v", a)
			}
		}
		physical(text, xen.Version{Major: 4, Minor: 12}, "vmx")
		isKeyboard(text)
		slots(text)
		pciOf(text)
		family(text)
		ringSays([]string{text}, "nterrupt remapping")
	})
}

// TestNVMeMultipath: a disk with several ways stands below its controllers.
func TestNVMeMultipath(t *testing.T) {
	u := usesOf(map[string]string{
		"/sys/class/block/nvme0n1":                                  "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1",
		"/sys/class/block/nvme0n1p2":                                "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p2",
		"/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0":    "../../../pci0000:00/0000:00:1b.4/0000:41:00.0/nvme/nvme0",
		"/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme1":    "../../../pci0000:00/0000:00:1b.5/0000:42:00.0/nvme/nvme1",
		"/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nqnother": "../elsewhere",
	})
	if !u.disk("nvme0n1p2", GuardBootDisk, "/") {
		t.Error("not followed")
	}
	var at []string
	for _, f := range u.found {
		at = append(at, f.Address.String())
	}
	if diff := cmp.Diff([]string{"0000:41:00.0", "0000:42:00.0"}, at); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLoops: devices that stand on each other, and bridges in a circle.
func TestLoops(t *testing.T) {
	u := usesOf(map[string]string{
		"/sys/class/block/dm-0":             "../../devices/virtual/block/dm-0",
		"/sys/class/block/dm-1":             "../../devices/virtual/block/dm-1",
		"/sys/class/block/dm-0/slaves/dm-1": "x",
		"/sys/class/block/dm-1/slaves/dm-0": "x",
		"/sys/class/net/br0":                "../../devices/virtual/net/br0",
		"/sys/class/net/br1":                "../../devices/virtual/net/br1",
		"/sys/class/net/br0/lower_br1":      "x",
		"/sys/class/net/br1/lower_br0":      "x",
	})
	if u.disk("dm-0", GuardDisk, "x") || u.below("br0", GuardDefaultRoute, nil, map[string]bool{}) {
		t.Error("a loop leads somewhere")
	}
}

// usesOf makes a machine of links only.
func usesOf(links map[string]string) *uses {
	return &uses{p: &Profile{}, files: linked(links), seen: map[pci.Address]map[Guard]bool{}}
}

// linked is hostfs.Files of links; a folder has what is below it.
type linked map[string]string

func (l linked) Readlink(name string) (string, error) {
	if to, ok := l[name]; ok {
		return to, nil
	}
	return "", fs.ErrNotExist
}

func (l linked) ReadDir(name string) ([]string, error) {
	var names []string
	for at := range l {
		if rest, below := strings.CutPrefix(at, name+"/"); below && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func (linked) ReadFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

func (l linked) Exists(name string) (bool, error) {
	return slices.Contains(slices.Collect(maps.Keys(l)), name), nil
}

// TestIdentityText: what --save wrote reads back.
func TestIdentityText(t *testing.T) {
	s := Saved{Schema: Schema, Devices: []Identity{{
		Address: pci.Address{Bus: 3}, ID: opt.Of(pci.ID{Vendor: 0x8086, Device: 0x1533}), Path: "0000:00/1c.3/00.0",
	}}}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got Saved
	if err := json.Unmarshal(b, &got); err != nil || got.Devices[0] != s.Devices[0] {
		t.Errorf("%s: %+v, %v", b, got, err)
	}
}

// TestTwins: of two equal cards the one in the saved slot is meant, not the
// one that has its address now.
func TestTwins(t *testing.T) {
	twin := func(bus uint8, path string) Readiness {
		a := pci.Address{Bus: bus}
		return Readiness{Address: a, Identity: Identity{Address: a, ID: opt.Of(pci.ID{Vendor: 0x8086, Device: 0x1533}), Path: path}}
	}
	was := twin(3, "0000:00/1c.3/00.0").Identity
	p := Profile{Passthrough: []Readiness{twin(2, "0000:00/1c.3/00.0"), twin(3, "0000:00/1c.5/00.0")}}
	found := p.Compare(Saved{Schema: Schema, Devices: []Identity{was}})
	if len(found) != 1 || !strings.Contains(found[0].Seen, "moved to 0000:02:00.0") || found[0].Verdict != finding.Dangerous {
		t.Errorf("%+v", found)
	}
}
