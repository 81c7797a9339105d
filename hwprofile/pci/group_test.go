package pci_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/hwprofile/pci"
	"xtm/hwprofile/pci/pcitest"
	"xtm/internal/cause"
)

// topologyOf makes a topology from the dump of a made-up host.
func topologyOf(t *testing.T, h pcitest.Host) *pci.Topology {
	t.Helper()
	devices, err := pci.ParseDump(h.Dump())
	if err != nil {
		t.Fatal(err)
	}
	return pci.NewTopology(devices)
}

// short writes groups one a line, without the domain 0000.
func short(groups []pci.Group) string {
	lines := make([]string, 0, len(groups))
	for _, g := range groups {
		members := make([]string, 0, len(g.Members))
		for _, m := range g.Members {
			members = append(members, strings.TrimPrefix(m.String(), "0000:"))
		}
		lines = append(lines, strings.Join(members, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func computed(t *testing.T, h pcitest.Host, r pci.Rules) string {
	t.Helper()
	groups, err := topologyOf(t, h).ComputedGroups(r)
	if err != nil {
		t.Fatal(err)
	}
	return short(groups)
}

func TestGroupsX10SAE(t *testing.T) {
	want := strings.Join([]string{
		"00:00.0", "00:01.0 01:00.0", "00:02.0", "00:03.0", "00:14.0", "00:16.0 00:16.3", "00:19.0", "00:1a.0", "00:1b.0",
		"00:1c.0", "00:1c.3", "00:1c.5", "00:1c.6", "00:1c.7", "00:1d.0", "00:1f.0 00:1f.2 00:1f.3 00:1f.6",
		"03:00.0", "04:00.0 05:03.0", "06:00.0", "07:00.0",
	}, "\n")
	if diff := cmp.Diff(want, computed(t, pcitest.X10SAE(), pci.Rules{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Without the quirk the root ports are one with all that is below them.
	merged := "00:1c.0 00:1c.3 00:1c.5 00:1c.6 00:1c.7 03:00.0 04:00.0 05:03.0 06:00.0 07:00.0"
	if got := computed(t, pcitest.X10SAE(), pci.Rules{NoPCHQuirk: true}); !strings.Contains(got+"\n", merged+"\n") {
		t.Errorf("without the quirk %s is no group in\n%s", merged, got)
	}

	// The quirk needs the root complex block.
	h := pcitest.X10SAE()
	for i := range h {
		h[i].RCBA = false
	}
	if got := computed(t, h, pci.Rules{}); !strings.Contains(got+"\n", merged+"\n") {
		t.Errorf("without the root complex block %s is no group in\n%s", merged, got)
	}
}

func TestGroupReasons(t *testing.T) {
	groups, err := topologyOf(t, pcitest.X10SAE()).ComputedGroups(pci.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ device, says string }{
		{"05:03.0", "lacks the PCI Express capability it should have"},
		{"01:00.0", "0000:00:01.0 above: it has no access control services"},
		{"03:00.0", "0000:00:1c.3 above: Intel's root port isolates by registers of the chipset"},
		{"00:1f.2", "functions of one device; it is no PCI Express function"},
	} {
		a, err := pci.ParseAddress(c.device)
		if err != nil {
			t.Fatal(err)
		}
		if g := pci.Find(groups, a); g == nil || !strings.Contains(strings.Join(g.Why, "\n"), c.says) {
			t.Errorf("%s: %+v does not say %q", c.device, g, c.says)
		}
	}
	if g := pci.Find(groups, pci.Address{Bus: 0x99}); g != nil {
		t.Errorf("a device that is not there has the group %+v", g)
	}
}

func port(at, id string, kind pci.PortType, secondary, subordinate uint8, acs *pci.ACS) pcitest.Device {
	return pcitest.Device{
		At: at, ID: id, Class: 0x060400, Header: 1, Secondary: secondary, Subordinate: subordinate,
		Express: new(kind), ACS: acs,
	}
}

func card(at string, functions int) pcitest.Host {
	a, err := pci.ParseAddress(at)
	if err != nil {
		panic(err)
	}
	var h pcitest.Host
	for fn := range uint8(functions) {
		h = append(h, pcitest.Device{
			At: a.WithFunction(fn).String(), ID: "abcd:0001", Class: 0x020000, Multifunction: functions > 1, Express: new(pci.Endpoint),
		})
	}
	return h
}

func TestGroupRules(t *testing.T) {
	on := pcitest.IsolatingACS()
	off := &pci.ACS{Capability: 0x1f}
	cases := []struct {
		name  string
		host  pcitest.Host
		rules pci.Rules
		want  []string
	}{
		{
			"an isolating port keeps its card apart",
			append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, on)}, card("01:00.0", 1)...),
			pci.Rules{},
			[]string{"00:01.0", "01:00.0"},
		},
		{
			"access control that is off",
			append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, off)}, card("01:00.0", 1)...),
			pci.Rules{},
			[]string{"00:01.0 01:00.0"},
		},
		{
			"access control that would be switched on",
			append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, off)}, card("01:00.0", 1)...),
			pci.Rules{AssumeEnabled: true},
			[]string{"00:01.0", "01:00.0"},
		},
		{
			"a bit that the port does not have is forgiven",
			append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, &pci.ACS{Capability: 0x05, Control: 0x05})}, card("01:00.0", 1)...),
			pci.Rules{},
			[]string{"00:01.0", "01:00.0"},
		},
		{
			"functions of a card reach each other",
			append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, on)}, card("01:00.0", 2)...),
			pci.Rules{},
			[]string{"00:01.0", "01:00.0 01:00.1"},
		},
		{
			"a switch whose downstream ports isolate",
			append(append(pcitest.Host{
				port("00:01.0", "abcd:0002", pci.RootPort, 1, 4, on), port("01:00.0", "abcd:0003", pci.SwitchUpstream, 2, 4, nil),
				port("02:00.0", "abcd:0004", pci.SwitchDownstream, 3, 3, on), port("02:01.0", "abcd:0004", pci.SwitchDownstream, 4, 4, on),
			}, card("03:00.0", 1)...), card("04:00.0", 1)...),
			pci.Rules{},
			[]string{"00:01.0", "01:00.0", "02:00.0", "02:01.0", "03:00.0", "04:00.0"},
		},
		{
			"a switch whose downstream ports do not",
			append(append(pcitest.Host{
				port("00:01.0", "abcd:0002", pci.RootPort, 1, 4, on), port("01:00.0", "abcd:0003", pci.SwitchUpstream, 2, 4, nil),
				port("02:00.0", "abcd:0004", pci.SwitchDownstream, 3, 3, nil), port("02:01.0", "abcd:0004", pci.SwitchDownstream, 4, 4, nil),
			}, card("03:00.0", 1)...), card("04:00.0", 1)...),
			pci.Rules{},
			// A downstream port alone on its slot is apart; its card is not apart from it.
			[]string{"00:01.0", "01:00.0", "02:00.0 03:00.0", "02:01.0 04:00.0"},
		},
		{
			"everything behind conventional bridges is one",
			pcitest.Host{
				port("00:01.0", "abcd:0002", pci.RootPort, 1, 3, on), port("01:00.0", "abcd:0005", pci.ExpressToPCI, 2, 3, nil),
				{At: "02:01.0", ID: "abcd:0006", Class: 0x060400, Header: 1, Secondary: 3, Subordinate: 3},
				{At: "02:02.0", ID: "abcd:0007", Class: 0x020000},
				{At: "03:00.0", ID: "abcd:0007", Class: 0x020000},
			},
			pci.Rules{},
			[]string{"00:01.0", "01:00.0 02:01.0 02:02.0 03:00.0"},
		},
		{
			"a conventional bridge on the root bus",
			pcitest.Host{
				{At: "00:1e.0", ID: "8086:244e", Class: 0x060401, Header: 1, Secondary: 5, Subordinate: 5},
				{At: "05:01.0", ID: "abcd:0007", Class: 0x020000},
				{At: "05:02.0", ID: "abcd:0007", Class: 0x020000},
			},
			pci.Rules{},
			[]string{"00:1e.0 05:01.0 05:02.0"},
		},
		{
			"integrated endpoints of Intel are apart, conventional siblings are not",
			pcitest.Host{
				{At: "00:08.0", ID: "8086:6f1a", Class: 0x088000, Multifunction: true, Express: new(pci.IntegratedEndpoint)},
				{At: "00:08.1", ID: "8086:6f1b", Class: 0x088000, Multifunction: true},
				{At: "00:08.2", ID: "8086:6f1c", Class: 0x088000, Multifunction: true, Express: new(pci.IntegratedEndpoint)},
				{At: "00:08.3", ID: "8086:6f1d", Class: 0x088000, Multifunction: true},
			},
			pci.Rules{},
			[]string{"00:08.0", "00:08.1 00:08.3", "00:08.2"},
		},
		{
			"a card whose maker vouches for it",
			pcitest.Host{
				port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, on),
				{At: "01:00.0", ID: "8086:1521", Class: 0x020000, Multifunction: true, Express: new(pci.Endpoint)},
				{At: "01:00.1", ID: "8086:1521", Class: 0x020000, Multifunction: true, Express: new(pci.Endpoint)},
			},
			pci.Rules{},
			[]string{"00:01.0", "01:00.0", "01:00.1"},
		},
		{
			"a SATA controller that signs with function 1",
			pcitest.Host{
				port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, on),
				{At: "01:00.0", ID: "1b4b:9123", Class: 0x010601, Express: new(pci.LegacyEndpoint)},
				{At: "01:00.1", ID: "1b4b:91a4", Class: 0x01018f, Express: new(pci.LegacyEndpoint), ACS: on},
			},
			pci.Rules{},
			[]string{"00:01.0", "01:00.0 01:00.1"},
		},
		{
			"AMD's southbridge without an IVRS",
			pcitest.Host{
				{At: "00:14.0", ID: "1002:4385", Class: 0x0c0500, Multifunction: true}, {At: "00:14.3", ID: "1002:439d", Class: 0x060100, Multifunction: true},
			},
			pci.Rules{},
			[]string{"00:14.0 00:14.3"},
		},
		{
			"AMD's southbridge with one",
			pcitest.Host{
				{At: "00:14.0", ID: "1002:4385", Class: 0x0c0500, Multifunction: true}, {At: "00:14.3", ID: "1002:439d", Class: 0x060100, Multifunction: true},
			},
			pci.Rules{IVRS: true},
			[]string{"00:14.0", "00:14.3"},
		},
		{
			"256 bytes show no access control",
			append(pcitest.Host{func() pcitest.Device {
				p := port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, on)
				p.ConfigSize = 256
				return p
			}()}, card("01:00.0", 1)...),
			pci.Rules{},
			[]string{"00:01.0 01:00.0"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Join(c.want, "\n"), computed(t, c.host, c.rules)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWideACS: Sunrise Point's control register lies two bytes further on.
func TestWideACS(t *testing.T) {
	for _, c := range []struct {
		control uint16 // at offset 8
		want    string
	}{{0x1d, "00:1c.0\n01:00.0"}, {0, "00:1c.0 01:00.0"}} {
		h := append(pcitest.Host{port("00:1c.0", "8086:a110", pci.RootPort, 1, 1, &pci.ACS{Capability: 0x1d, Control: 0})}, card("01:00.0", 1)...)
		devices, err := pci.ParseDump(h.Dump())
		if err != nil {
			t.Fatal(err)
		}
		devices[0].Config[0x148] = byte(c.control)
		groups, err := pci.NewTopology(devices).ComputedGroups(pci.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, short(groups)); diff != "" {
			t.Errorf("control %#x (-want +got):\n%s", c.control, diff)
		}
	}
}

func TestXenGroups(t *testing.T) {
	got := short(topologyOf(t, pcitest.X10SAE()).XenGroups())
	if !strings.Contains(got, "04:00.0 05:03.0") {
		t.Errorf("Xen sees the bridge and what is behind it as one, got\n%s", got)
	}
	for _, alone := range []string{"00:01.0", "00:1f.2", "01:00.0"} {
		if !strings.Contains("\n"+got+"\n", "\n"+alone+"\n") {
			t.Errorf("Xen takes %s as alone, got\n%s", alone, got)
		}
	}
}

func TestRequesters(t *testing.T) {
	topology := topologyOf(t, pcitest.X10SAE())
	type id struct {
		ID         string
		Linux, Xen bool
	}
	ids := func(top *pci.Topology, s string) []id {
		a, err := pci.ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		var got []id
		for _, r := range top.Requesters(a) {
			if r.Why == "" {
				t.Errorf("%s for %s: no reason", r.ID, s)
			}
			got = append(got, id{strings.TrimPrefix(r.ID.String(), "0000:"), r.Linux, r.Xen})
		}
		return got
	}
	// FireWire behind the Tundra bridge: Linux knows that its requests come as
	// 05:00.0; Xen maps the bridge's own id instead.
	want := []id{{"05:03.0", true, true}, {"05:00.0", true, false}, {"04:00.0", false, true}}
	if diff := cmp.Diff(want, ids(topology, "05:03.0")); diff != "" {
		t.Errorf("05:03.0 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]id{{"01:00.0", true, true}}, ids(topology, "01:00.0")); diff != "" {
		t.Errorf("01:00.0 (-want +got):\n%s", diff)
	}
	if bridge, known := topology.HiddenBridge(pci.Address{Bus: 5, Device: 3}); bridge == nil || bridge.Address.Bus != 4 || !known {
		t.Errorf("hidden bridge above 05:03.0: %v, %v", bridge, known)
	}
	if bridge, _ := topology.HiddenBridge(pci.Address{Bus: 1}); bridge != nil {
		t.Errorf("hidden bridge above 01:00.0: %v", bridge)
	}

	// The same card behind an honest bridge.
	honest := topologyOf(t, pcitest.Host{
		port("00:1c.5", "8086:8c1a", pci.RootPort, 4, 5, nil), port("04:00.0", "10b5:8112", pci.ExpressToPCI, 5, 5, nil),
		{At: "05:03.0", ID: "104c:8023", Class: 0x0c0010},
	})
	want = []id{{"05:03.0", true, true}, {"05:00.0", true, true}, {"04:00.0", false, true}}
	if diff := cmp.Diff(want, ids(honest, "05:03.0")); diff != "" {
		t.Errorf("behind an honest bridge (-want +got):\n%s", diff)
	}

	// And behind one that nobody knows.
	unknown := topologyOf(t, pcitest.Host{
		port("00:1c.5", "8086:8c1a", pci.RootPort, 4, 5, nil),
		{At: "04:00.0", ID: "abcd:9999", Class: 0x060400, Header: 1, Secondary: 5, Subordinate: 5},
		{At: "05:03.0", ID: "104c:8023", Class: 0x0c0010},
	})
	want = []id{{"05:03.0", true, true}, {"04:00.0", true, true}, {"05:00.0", false, false}}
	if diff := cmp.Diff(want, ids(unknown, "05:03.0")); diff != "" {
		t.Errorf("behind an unknown bridge (-want +got):\n%s", diff)
	}
}

func TestGroupsNeedRoot(t *testing.T) {
	h := pcitest.X10SAE()
	for i := range h {
		h[i].ConfigSize = 64
	}
	topology := topologyOf(t, h)
	if _, err := topology.ComputedGroups(pci.Rules{}); !errors.Is(err, cause.ErrNeedsRoot) {
		t.Errorf("with headers only: %v, want %v", err, cause.ErrNeedsRoot)
	}
	if _, err := topology.KernelGroups(); !errors.Is(err, cause.ErrNoData) {
		t.Errorf("without groups of the kernel: %v, want %v", err, cause.ErrNoData)
	}
}

func TestKernelGroups(t *testing.T) {
	h := append(pcitest.Host{port("00:01.0", "abcd:0002", pci.RootPort, 1, 1, nil)}, card("01:00.0", 2)...)
	for i := range h {
		h[i].Group = "12"
	}
	h = append(h, pcitest.Device{At: "00:1f.0", ID: "8086:8c56", Class: 0x060100})
	devices, _, err := pci.Read(h.Write(t))
	if err != nil {
		t.Fatal(err)
	}
	groups, err := pci.NewTopology(devices).KernelGroups()
	if err != nil {
		t.Fatal(err)
	}
	if got := short(groups); got != "00:01.0 01:00.0 01:00.1" || groups[0].Kernel.Or(-1) != 12 {
		t.Errorf("groups %q, number %v", got, groups[0].Kernel)
	}
}
