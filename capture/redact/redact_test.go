package redact

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/capture/scrub"
)

// text is one text of a capture; argv is empty for a file.
type text struct {
	argv, path, in, want string
}

// check redacts all texts together, as a capture is.
func check(t *testing.T, texts []text) {
	t.Helper()
	r := New()
	apply := func(x text) string {
		switch {
		case x.argv != "":
			return string(r.Output(strings.Fields(x.argv), []byte(x.in)))
		case x.path != "":
			return string(r.File(x.path, []byte(x.in)))
		default:
			return r.String(x.in)
		}
	}
	for _, x := range texts {
		apply(x)
	}
	r.Learned()
	for _, x := range texts {
		if diff := cmp.Diff(x.want, apply(x)); diff != "" {
			t.Errorf("%s%s (-want +got):\n%s", x.argv, x.path, diff)
		}
	}
}

// Every form in which a host tells its names, in the forms of Xen 4.12; the
// guests have names that are words of these texts.
func TestForms(t *testing.T) {
	check(t, []text{
		{
			argv: "xl list -v",
			in: `Name                                        ID   Mem VCPUs	State	Time(s)   UUID                            Reason-Code	Security Label
Domain-0                                     0  1018     2     r-----     104.4 00000000-0000-0000-0000-000000000000        -                -
memory                                       1   305     2     r-----      33.2 1d9f7584-e679-11f1-971d-5fe415631a83        -                -
shop db 1                                    2   311     1     ---sc-      29.3 22F6872A-e679-11f1-b8bf-2183b6966cf5        -                -
a-name-that-is-longer-than-forty-characters-and-1     7    76     1     --psrd      28.1 af1acdbd-e182-4aac-be9d-fd067334a03f        -                -
(null)                                       8    76     1     -----d      28.1 bf1acdbd-e182-4aac-be9d-fd067334a03f        -                -
`,
			want: `Name                                        ID   Mem VCPUs	State	Time(s)   UUID                            Reason-Code	Security Label
Domain-0                                     0  1018     2     r-----     104.4 00000000-0000-0000-0000-000000000000        -                -
dom-1                                        1   305     2     r-----      33.2 00000000-0000-4000-8000-000000000001        -                -
dom-2                                        2   311     1     ---sc-      29.3 00000000-0000-4000-8000-000000000002        -                -
dom-7                                                 7    76     1     --psrd      28.1 00000000-0000-4000-8000-000000000007        -                -
(null)                                       8    76     1     -----d      28.1 00000000-0000-4000-8000-000000000008        -                -
`,
		},
		{
			argv: "/usr/sbin/xl uptime",
			in: `Name                                ID Uptime
Domain-0                             0 34 days,  0:02:22
memory                               1  1 day,  0:02:10
shop db 1                            2  0:02:01
`,
			want: `Name                                ID Uptime
Domain-0                             0 34 days,  0:02:22
dom-1                                1  1 day,  0:02:10
dom-2                                2  0:02:01
`,
		},
		{
			argv: "xl vcpu-list",
			in: `Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)
memory                               1     0    1   -b-      20.5  all / all
memory                               1     1    -   --p      15.0  0-1 / all
`,
			want: `Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)
dom-1                                1     0    1   -b-      20.5  all / all
dom-1                                1     1    -   --p      15.0  0-1 / all
`,
		},
		{
			argv: "xentop -b -f -i 1",
			in: `      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS
    memory --b---         35    0.0      77864    2.8   no limit       n/a     1    0
VCPUs(sec):   0:         35s
VBD BlkBack 51744 [ca:20]  OO:        0   RD:       42   WR:       36
 shop db 1 -----r         37    0.0     320360   11.6     410624      14.9     1    0
  Domain-0 -----r        115    0.0    1042668   37.9    1048576      38.1     2    0
a-name-that-is-longer-than-forty-characters-and-1 ------         10    0.0      77864    2.8     197632       7.2     1    0
         x --b---          8    0.0     131072    4.8     132096       4.8     1    0
`,
			want: `      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS
     dom-1 --b---         35    0.0      77864    2.8   no limit       n/a     1    0
VCPUs(sec):   0:         35s
VBD BlkBack 51744 [ca:20]  OO:        0   RD:       42   WR:       36
     dom-2 -----r         37    0.0     320360   11.6     410624      14.9     1    0
  Domain-0 -----r        115    0.0    1042668   37.9    1048576      38.1     2    0
dom-7                                             ------         10    0.0      77864    2.8     197632       7.2     1    0
     dom-8 --b---          8    0.0     131072    4.8     132096       4.8     1    0
`,
		},
		{
			argv: "xl list -l",
			in: `[{"domid": 1, "config": {"c_info": {"type": "pv", "name": "memory", "uuid": "1d9f7584-e679-11f1-971d-5fe415631a83"},
  "b_info": {"max_memkb": 524288, "sched_params": {"sched": "credit2"}, "cmdline": "memory=1 host=shop db 1 ip=10.1.2.3"},
  "disks": [{"pdev_path": "/dev/acme/web", "vdev": "xvda"}], "nics": [{"mac": "00:16:3E:00:00:01", "bridge": "xenbr0"}],
  "pcidevs": [{"dev": 0, "bus": 3}], "on_reboot": "restart", "name": "acme"}}]`,
			want: `[{"domid": 1, "config": {"c_info": {"type": "pv", "name": "dom-1", "uuid": "00000000-0000-4000-8000-000000000001"},
  "b_info": {"max_memkb": 524288, "sched_params": {"sched": "credit2"}, "cmdline": "memory=1 host=dom-2 ip=198.18.0.1"},
  "disks": [{"pdev_path": "[redacted]", "vdev": "xvda"}], "nics": [{"mac": "02:00:00:00:00:01", "bridge": "[redacted]"}],
  "pcidevs": [{"dev": 0, "bus": 3}], "on_reboot": "restart", "name": "[redacted]"}}]`,
		},
		{
			argv: "xl list --long",
			in: "(domain\n\t(domid 1)\n\t(name memory)\n\t(uuid 1d9f7584-e679-11f1-971d-5fe415631a83)\n\t(max_memkb 524288)\n" +
				"\t(device\n\t\t(vif\n\t\t\t(mac 00163e000001)\n\t\t)\n\t\t(tap\n\t\t\t(physpath /dev/acme/web)\n\t\t)\n" +
				"\t\t(pci\n\t\t\t(pci dev 0000:03:00.0@00)\n\t\t)\n\t)\n)\n",
			want: "(domain\n\t(domid 1)\n\t(name dom-1)\n\t(uuid 00000000-0000-4000-8000-000000000001)\n\t(max_memkb 524288)\n" +
				"\t(device\n\t\t(vif\n\t\t\t(mac 020000000001)\n\t\t)\n\t\t(tap\n\t\t\t(physpath [redacted])\n\t\t)\n" +
				"\t\t(pci\n\t\t\t(pci dev 0000:03:00.0@00)\n\t\t)\n\t)\n)\n",
		},
		{
			argv: "xl info",
			in: "host                   : Blade7.example.com\nrelease                : 4.19.0-blade7\nhw_caps                : 178bfbfd:82982203\n" +
				"virt_caps              : pv hvm\nxen_commandline        : tmem nfsroot=filer:/x xen=http://proxy.example.com/ name=blade7\n" +
				"cc_compile_by          : jdoe\ncc_compile_domain      : \nbuild_id               : be96a34bf19a9985c05ceab333acba28b910b0ea\n",
			want: "host                   : host-1\nrelease                : 4.19.0-host-1\nhw_caps                : 178bfbfd:82982203\n" +
				"virt_caps              : pv hvm\nxen_commandline        : tmem nfsroot=remote-1:/x xen=http://remote-2/ name=host-1\n" +
				"cc_compile_by          : user-1@invalid\ncc_compile_domain      : \nbuild_id               : be96a34bf19a9985c05ceab333acba28b910b0ea\n",
		},
		{
			argv: "xenstore-ls -f /local/domain/1",
			in:   "/local/domain/1/name = \"memory\"\n/local/domain/1/vm = \"/vm/1d9f7584-e679-11f1-971d-5fe415631a83\"\n/local/domain/1/memory/target = \"5\"\n",
			want: "/local/domain/1/name = \"dom-1\"\n/local/domain/1/vm = \"/vm/00000000-0000-4000-8000-000000000001\"\n/local/domain/1/memory/target = \"5\"\n",
		},
		{
			argv: "xl tmem-list -l -a",
			in:   "P=CI:1,PI:0,PT:ES,U0:deadbeef,U1:1,Pc:0\nP=CI:1,PI:1,PT:EP,U0:0,U1:0,Pc:0\nS=SI:0,PT:ES,U0:deadbeef,U1:1,SC:1\nT\n",
			want: "P=CI:1,PI:0,PT:ES,U0:0,U1:1,Pc:0\nP=CI:1,PI:1,PT:EP,U0:0,U1:0,Pc:0\nS=SI:0,PT:ES,U0:0,U1:1,SC:1\nT\n",
		},
	})
}

func TestFreeText(t *testing.T) {
	check(t, []text{
		{
			argv: "xl list",
			in:   "init 1 305 2 r----- 33.2\nweb 2 305 2 r----- 33.2\nmy-shop 3 305 2 r----- 33.2\ndb 4 305 2 r----- 33.2\n42 5 305 2 r----- 33.2\nnitia 6 305 2 r----- 33.2\n",
			want: "dom-1 1 305 2 r----- 33.2\ndom-2 2 305 2 r----- 33.2\ndom-3   3 305 2 r----- 33.2\ndom-4 4 305 2 r----- 33.2\ndom-5 5 305 2 r----- 33.2\ndom-6 6 305 2 r----- 33.2\n",
		},
		{path: "/proc/sys/kernel/hostname", in: "xen1.example.com\n", want: "host-1\n"},
		{
			argv: "dmesg",
			// initialized and init are vocabulary; db and 42 are too short to be looked for.
			in:   "tmem: initialized by init for WEB1 in /dev/mapper/my--shop--vg-root, db=42; xen1: 33",
			want: "tmem: initialized by init for [dom-2]1 in /dev/mapper/dom-3--vg-root, db=42; host-1: 33",
		},
		{
			argv: "dmesg",
			in:   "eth0 00:16:3e:00:00:01 10.0.0.1 10.0.0.2, 10.0.0.1. fe80::1/64 [2001:db8::5]:80 ::1 127.0.0.1 255.255.255.0 ff:ff:ff:ff:ff:ff",
			want: "eth0 02:00:00:00:00:01 198.18.0.1 198.18.0.2, 198.18.0.1. fd00::1/64 [fd00::2]:80 ::1 127.0.0.1 255.255.255.0 ff:ff:ff:ff:ff:ff",
		},
		{
			argv: "dmesg",
			in:   "Linux version 4.19.0.1 (root@buildd.acme.com) 12:34:56 0000:00:1f.3 iscsi:[scrubbed]@filer:::1:iqn.2014-01.com.acme:disk1 1.2.3.4.5",
			want: "Linux version 198.18.0.3 (user-1@invalid) 12:34:56 0000:00:1f.3 iscsi:[scrubbed]@remote-2:::1:iqn.2000-01.invalid:remote-1 1.2.3.4.5",
		},
		{path: "/proc/meminfo", in: "MemTotal: 5 kB # web\n", want: "MemTotal: 5 kB # web\n"},
		{path: "/sys/hypervisor/compilation/compiled_by", in: "jdoe\n", want: "user-2@invalid\n"},
		{path: "/sys/hypervisor/uuid", in: "1d9f7584-e679-11f1-971d-5fe415631a83\n", want: "00000000-0000-4000-8000-000000000001\n"},
		{path: "/boot/config-4.19", in: "CONFIG_WEB=y\nCONFIG_DEFAULT_HOSTNAME=\"xen1\"\n", want: "CONFIG_WEB=y\nCONFIG_DEFAULT_HOSTNAME=\"host-1\"\n"},
	})
}

// Names that look like pseudonyms get others: no two names end up as one.
func TestNamesLikePseudonyms(t *testing.T) {
	check(t, []text{
		{
			argv: "xl list",
			in:   "dom-2    1 305 2 r----- 33.2\ndom-1    2 305 2 r----- 33.2\nguest-9  3 305 2 r----- 33.2\n",
			want: "redacted-1 1 305 2 r----- 33.2\nredacted-2 2 305 2 r----- 33.2\nredacted-3 3 305 2 r----- 33.2\n",
		},
		{in: "00000000-0000-4000-8000-000000000001 198.18.0.1 02:00:00:00:00:01", want: "00000000-0000-4000-8000-000000000002 198.18.0.2 02:00:00:00:00:02"},
	})
}

func TestPackedConfig(t *testing.T) {
	r := New()
	in := scrub.Pack([]byte("CONFIG_DEFAULT_HOSTNAME=\"xen1\"\n"))
	r.File("/proc/sys/kernel/hostname", []byte("xen1"))
	r.File("/proc/config.gz", in)
	r.Learned()
	if got, want := r.File("/proc/config.gz", in), scrub.Pack([]byte("CONFIG_DEFAULT_HOSTNAME=\"host-1\"\n")); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestPathsAndArguments(t *testing.T) {
	r := New()
	r.Output([]string{"xl", "list"}, []byte("list 1 305 2 r----- 33.2\nsys 2 305 2 r----- 33.2\nwebshop 3 305 2 r----- 33.2\n"))
	r.Learned()
	for in, want := range map[string]string{
		"/sys/devices/webshop":     "/sys/devices/webshop", // the kernel's own name
		"/boot/config-4.9-webshop": "/boot/config-4.9-dom-3",
	} {
		if got := r.Name(in, in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
	got := r.Argv([]string{"webshop", "list", "webshop", "-f", "/sys/x"})
	if diff := cmp.Diff([]string{"webshop", "list", "dom-3", "-f", "/sys/x"}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("xl list -v", []byte("Name  ID Mem VCPUs State Time(s)\nweb1  1 305 2 r----- 33.2 1d9f7584-e679-11f1-971d-5fe415631a83\n"))
	f.Add("xl list -l", []byte(`[{"domid": 1, "config": {"c_info": {"name": "web1", "uuid": "1d9f7584-e679-11f1-971d-5fe415631a83"}}}]`))
	f.Add("xl list -l", []byte("(domain\n\t(domid 1)\n\t(name web1)\n\t(mac 00163e000001)\n)\n"))
	f.Add("xentop -b", []byte("      NAME  STATE   CPU(sec)\n      web1 --b---   35    0.0\n"))
	f.Add("xl info", []byte("host : xenhost\nrelease : 4.19 10.0.0.1 root@x fe80::1 http://h/\n"))
	f.Fuzz(func(t *testing.T, command string, b []byte) {
		argv := strings.Fields(command)
		if len(argv) == 0 {
			return
		}
		r := New()
		r.Output(argv, b)
		r.Learned()
		got := r.Output(argv, b)
		if n, m := bytes.Count(b, []byte("\n")), bytes.Count(got, []byte("\n")); n != m && !bytes.Contains(b, []byte(`\n`)) {
			t.Fatalf("%q has %d lines, %q has %d", b, n, got, m)
		}
		if strings.HasPrefix(command, "xl list -l") && json.Valid(b) && (b[0] == '[' || b[0] == '{') && !json.Valid(got) {
			t.Fatalf("%q became %q, which is not JSON", b, got)
		}
	})
}
