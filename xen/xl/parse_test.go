package xl

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
)

// equal compares values that may be absent, and config.
var equal = cmp.Exporter(func(t reflect.Type) bool {
	return t.PkgPath() == "xtm/internal/opt" || t == reflect.TypeFor[config]()
})

// refused holds texts that a parser must not accept, and what it says.
func refused[T any](t *testing.T, parse func([]byte) (T, error), texts map[string]string) {
	t.Helper()
	for text, want := range texts {
		if got, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, %v, want %q", text, got, err, want)
		}
	}
}

func TestParseList(t *testing.T) {
	plain, err := parseList([]byte(testdata(t, "4.12-t1-load", "xl-list.txt")))
	if err != nil || len(plain) != 6 || plain[1].UUID != "" {
		t.Errorf("%+v, %v", plain, err)
	}
	got, err := parseList([]byte(testdata(t, "4.12-t1-load", "xl-list-v.txt")))
	want := xen.Domain{
		ID: opt.Of[units.DomID](1), Name: "web1", UUID: "1d9f7584-e679-11f1-971d-5fe415631a83", State: xen.State{Running: true},
		Current: opt.Of[units.KiB](305 * 1024), VCPUs: opt.Of(2), CPUTime: opt.Of(33200 * time.Millisecond),
	}
	if err != nil || len(got) != 6 || !cmp.Equal(want, got[1], equal) {
		t.Errorf("%v, %v", cmp.Diff(want, got[1], equal), err)
	}
	if id, ok := got[0].ID.Get(); !ok || id != 0 || !got[0].IsDom0() {
		t.Errorf("Domain-0: %+v", got[0])
	}
	const uuid = "1d9f7584-e679-11f1-971d-5fe415631a83"
	for row, want := range map[string]xen.Domain{
		// 4.1's form, a name with blanks, numbers and a state in it.
		"a r----- 1 2 3                               7   256     1     --ps--       0.0 " + strings.ToUpper(uuid) + "        3": {
			Name: "a r----- 1 2 3", ID: opt.Of[units.DomID](7), UUID: uuid, State: xen.State{Paused: true, Shutdown: true},
			Current: opt.Of[units.KiB](256 << 10), VCPUs: opt.Of(1), CPUTime: opt.Of[time.Duration](0),
		},
		// Crashed and dying, without a name; the label of 4.2 stands behind the UUID.
		"(null)                                      12     0     0     --psc d  1.0": {},
		"(null)                                      12     0     0     --pscd  123456.7 " + uuid + "        3  system_u:system_r:domU_t": {
			ID: opt.Of[units.DomID](12), UUID: uuid, State: xen.State{Paused: true, Shutdown: true, Crashed: true, Dying: true},
			Current: opt.Of[units.KiB](0), VCPUs: opt.Of(0), CPUTime: opt.Of(123456700 * time.Millisecond),
		},
	} {
		got, err := parseList([]byte(listHeader + row + "\n"))
		if want.UUID == "" {
			if err == nil {
				t.Errorf("%q was accepted: %+v", row, got)
			}
			continue
		}
		if err != nil || !cmp.Equal([]xen.Domain{want}, got, equal) {
			t.Errorf("%q: %v, %v", row, cmp.Diff([]xen.Domain{want}, got, equal), err)
		}
	}
	refused(t, parseList, map[string]string{
		"":                          "it is empty",
		"web1 1 256 1 r----- 1.0\n": "line 1: want a heading",
		listHeader + "web1 1 256\n": `line 2: want name, ID, memory, VCPUs, state and time: "web1 1 256"`,
		listHeader + listRow("a", 1, 1, "------") + listRow("b", 1, 1, "------"):    "line 3: domain 1 was there already",
		listHeader + strings.Repeat("x", 9000):                                      "line 2: longer than 8192 bytes",
		listHeader + listRow("a", 65536, 1, "------"):                               "line 2: want name",
		listHeader + listRow("a", -1, 1, "------"):                                  "line 2: want name",
		listHeader + strings.Replace(listRow("a", 1, 1, "------"), "1.5", "nan", 1): "line 2: want name",
	})
}

func TestParseInfo(t *testing.T) {
	got, err := parseInfo([]byte(testdata(t, "4.17-modern", "xl-info.txt")))
	want := xen.Host{
		Name: "xenhost", Version: xen.Version{Major: 4, Minor: 17, Extra: ".7"}, Release: "4.19.0-tmemlab",
		CommandLine: opt.Of("console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M loglvl=all guest_loglvl=all spec-ctrl=no xpti=no pv-l1tf=no"),
		HWCaps:      "178bfbfd:82982203:20100800:00000001:00000000:00000000:00000000:00000000", VirtCaps: []string{"pv", "gnttab-v1", "gnttab-v2"},
		CPUs: opt.Of(2), Nodes: opt.Of(1), CoresPerSocket: opt.Of(2), ThreadsPerCore: opt.Of(1), MHz: opt.Of(2596.149),
		Total: opt.Of[units.KiB](2687 << 10), Free: opt.Of[units.KiB](1106 << 10), Outstanding: opt.Of[units.KiB](0), Granularity: opt.Of[units.KiB](1024),
	}
	if err != nil || !cmp.Equal(want, got, equal) {
		t.Errorf("%s, %v", cmp.Diff(want, got, equal), err)
	}
	// 4.1 has no xen_version, no claims and whole MHz; an empty command line is one.
	got, err = parseInfo([]byte("cpu_mhz                : 2800\ntotal_memory           : 16378\nfree_memory            : 8004\n" +
		"xen_major              : 4\nxen_minor              : 1\nxen_extra              : .3-rc1\nxen_commandline        : \n"))
	if c, ok := got.CommandLine.Get(); err != nil || got.Version.String() != "4.1.3-rc1" || got.MHz.Or(0) != 2800 || got.Outstanding.Has() || c != "" || !ok {
		t.Errorf("%+v, %v", got, err)
	}
	// Nonsense is absent.
	got, err = parseInfo([]byte("nr_cpus                : -2\ncpu_mhz                : NaN\ntotal_memory           : 99999999999999999999\n"))
	if err != nil || got.CPUs.Has() || got.MHz.Has() || got.Total.Has() || got.Granularity.Has() || got.Version.Known() || got.CommandLine.Has() {
		t.Errorf("%+v, %v", got, err)
	}
	refused(t, parseInfo, map[string]string{
		"":                                 "none of the keys",
		"hello : world\n":                  "none of the keys",
		"host : a\nno colon\n":             `line 2: want one "key : value": "no colon"`,
		"host : a\nhost : b\n":             `line 2: want one "key : value": "host : b"`,
		"xen_version : four\n":             "MAJOR.MINOR",
		"x : " + strings.Repeat("x", 9000): "line 1",
	})
}

func TestParseUptime(t *testing.T) {
	got, err := parseUptime([]byte(testdata(t, "4.12-t1-load", "xl-uptime.txt") +
		"my guest 3 days,                     6 1 day,  2:10:01\nx                                    7 12 days,  0:00:59\n"))
	want := map[int]time.Duration{
		0: 142 * time.Second, 1: 130 * time.Second, 2: 121 * time.Second, 3: 114 * time.Second, 4: 105 * time.Second, 5: 97 * time.Second,
		6: 26*time.Hour + 10*time.Minute + time.Second, 7: 12*24*time.Hour + 59*time.Second,
	}
	if err != nil || len(got) != len(want) {
		t.Errorf("%v, %v", got, err)
	}
	for id, d := range want {
		if got[id].Or(-1) != d {
			t.Errorf("domain %d: %v, want %v", id, got[id].Or(-1), d)
		}
	}
	const head = "Name ID Uptime\n"
	refused(t, parseUptime, map[string]string{
		"": "it is empty", head + "a 1 forever\n": "line 2: want name, ID and uptime", head + "a 1 1:60:00\n": "line 2",
		head + "a x 0:00:01\n": "line 2", head + "a 1 x days, 0:00:01\n": "line 2", head + "a 1 0:01\n": "line 2",
	})
}

const sxp = `(domain
	(domid %s)
	(domain_create_info)
	(hvm 1)
	(name my (web) guest)
	(uuid %s)
	(domain_build_info)
	(max_vcpus 2)
	(max_memkb 524288)
	(target_memkb 262144)
	(image
		(hvm
			(loader (null))
			(name not this)
		)
	)
	(device
		(tap
			(domid 9)
		)
	)
	(device
		(pci
			(pci dev 0000:03:00.0@00)
			(opts msitranslate 0 power_mgmt 0)
		)
	)
	(device
		(pci
			(pci dev 0000:03:00.1@00)
			(opts msitranslate 0 power_mgmt 0)
		)
	)
)
`

func TestParseConfig(t *testing.T) {
	got, err := parseConfig([]byte(testdata(t, "4.12-t1-load", "xl-list-l.txt")))
	if err != nil || len(got) != 6 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := config{id: opt.Of[int64](1), uuid: "1d9f7584-e679-11f1-971d-5fe415631a83", name: "web1", kind: "pv", staticMax: opt.Of[units.KiB](524288)}
	if !cmp.Equal(want, got[1], equal) {
		t.Error(cmp.Diff(want, got[1], equal))
	}
	const uuid = "1d9f7584-e679-11f1-971d-5fe415631a83"
	full := config{id: opt.Of[int64](3), uuid: uuid, name: "my (web) guest", kind: "hvm", staticMax: opt.Of[units.KiB](524288), pci: 2}
	bare := full
	bare.id, bare.uuid = opt.Value[int64]{}, ""
	for text, want := range map[string][]config{
		"[\n]\n": nil,
		"{\"domid\":1,\"config\":{\"pcidevs\":[{},{}],\"b_info\":{\"max_memkb\":18446744073709551615}}}\n[{\"domid\":null,\"config\":{\"c_info\":{\"type\":\"pvh\"}}}]": {
			{id: opt.Of[int64](1), pci: 2}, {kind: "pvh"},
		},
		fmt.Sprintf(sxp, "3", uuid): {full},
		fmt.Sprintf(sxp, "-1", "<unknown>") + strings.Replace(fmt.Sprintf(sxp, "3", uuid), "hvm 1", "hvm 0", 1): {bare, {id: full.id, uuid: full.uuid, name: full.name, kind: "pv", staticMax: full.staticMax, pci: 2}},
	} {
		got, err := parseConfig([]byte(text))
		if err != nil || !cmp.Equal(want, got, equal) {
			t.Errorf("%.40q: %s, %v", text, cmp.Diff(want, got, equal), err)
		}
	}
	refused(t, parseConfig, map[string]string{
		"": "it is empty: xl keeps no configuration", " \n": "it is empty", "[": "unexpected EOF", "[{\"domid\":\"x\"}]": "cannot unmarshal", "[{}] x": "invalid character", "7": "cannot unmarshal",
		"(domain\n\t(domid 3)\n": "the text ends within a domain", "(domain\n(domain\n": "line 2: a domain within a domain",
		"(domain\n)\nhello\n": `line 3: want "(domain": "hello"`, strings.Repeat("[", 20000): "exceeded max depth",
	})
}

// How a configuration finds its domain where xl prints the number wrong.
func TestConfigJoin(t *testing.T) {
	const uuid = "00000003-e679-11f1-971d-5fe415631a83"
	list := listRow("my (web) guest", 3, 256, "-b----") + listRow("other", 4, 256, "-b----")
	top := topRow("my (web) guest", 262144) + topRow("other", 262144)
	for name, tt := range map[string]struct {
		text, list string
		want       bool
	}{
		"number":       {fmt.Sprintf(sxp, "3", "<unknown>"), list, true},
		"uuid":         {fmt.Sprintf(sxp, "-1", uuid), list, true},
		"name":         {fmt.Sprintf(sxp, "-1", "<unknown>"), list, true},
		"name, twice":  {fmt.Sprintf(sxp, "-1", "<unknown>") + fmt.Sprintf(sxp, "-1", "<unknown>"), list, false},
		"other number": {fmt.Sprintf(sxp, "4", uuid[:35]+"0"), list, false},
	} {
		f := host("4.12.4", tt.list, top).On("xl list -l", answer(tt.text))
		d := read0(t, f).Domains[0]
		if (d.Type == "hvm") != tt.want || d.PCI.Has() != tt.want || d.StaticMax.Has() != tt.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// Xenstore's static maximum is the toolstack's word of today.
	f := host("4.12.4", list, top).On("xl list -l", answer(fmt.Sprintf(sxp, "3", uuid))).
		On("xenstore-ls -f /local/domain/3/memory", answer("/local/domain/3/memory/static-max = \"600000\"\n/local/domain/3/memory/target = \"262145\"\n"))
	if d := read0(t, f).Domains[0]; d.StaticMax.Or(0) != 600000 || d.Target.Or(0) != 262145 {
		t.Errorf("%+v", d)
	}
}
