package capture_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"xtm/capture"
	"xtm/capture/importtest"
	"xtm/internal/run"
	"xtm/xen"
)

// guest is a made-up domain; host a made-up machine with all its secrets.
type guest struct{ name, uuid, mac, ip string }

type host struct {
	name   string
	guests []guest
	kernel string // end of Dom0's kernel command line
}

// commands prints what the toolstack of Xen 4.12 would, with the formats of its
// sources: tools/xl/xl_info.c, tools/xenstat/xentop/xentop.c.
func (h host) commands() map[string]string {
	var list, uptime, top, config, listing strings.Builder
	list.WriteString("Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label\n")
	uptime.WriteString("Name                                ID Uptime\n")
	top.WriteString("      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID\n")
	config.WriteString("[")
	listing.WriteString("G=Tt:1,Te:0,Cf:0,Af:0,Pf:0,Ta:0,Lm:0,Et:0,Ea:0,Rt:0,Ra:0,Rx:0,Fp:0,Ec:5,Em:5,Oc:0,Om:0,Nc:0,Nm:0,Pc:5,Pm:5,Fc:5,Fm:5,Sc:0,Sm:0,Ep:5,Gd:0,Zt:0,Gz:0\n")
	out := map[string]string{}
	all := append([]guest{{name: "Domain-0", uuid: "00000000-0000-0000-0000-000000000000"}}, h.guests...)
	for id, g := range all {
		fmt.Fprintf(&list, "%-40s %5d %5d %5d     %s  %8.1f %s        -                -\n", g.name, id, 100+id, 1, "-b----", 1.5, g.uuid)
		fmt.Fprintf(&uptime, "%-33s %4d %s\n", g.name, id, " 0:02:22")
		fmt.Fprintf(&top, "%10s %s %10d %6.1f %10d %6.1f %10d %9.1f %5d %4d %8d %8d %4d %8d %8d %8d %10d %10d %4d\n",
			g.name, "--b---", 35, 0.0, 102400+id*1024, 2.8, 197632, 7.2, 1, 0, 0, 0, 2, 0, 1, 2, 3, 4, 0)
		sep := ","
		if id == 0 {
			sep = ""
		}
		fmt.Fprintf(&config, `%s{"domid": %d, "config": {"c_info": {"type": "pv", "name": %q, "uuid": %q}, "b_info": {"max_memkb": %d, "cmdline": %q},
 "disks": [{"pdev_path": %q}], "nics": [{"mac": %q, "ip": %q}]}}`,
			sep, id, g.name, g.uuid, 262144, "root=/dev/xvda1 hostname="+g.name+" ip="+g.ip, "/dev/vg0/"+g.name+"-disk", g.mac, g.ip)
		if id > 0 {
			fmt.Fprintf(&listing, "C=CI:%d,ww:0,co:0,fr:0,Tc:0,Ge:5,Pp:0,Gp:0,Ec:5,Em:5,cp:0,cb:0,cn:0,cm:0\n", id)
		}
		home := fmt.Sprintf("/local/domain/%d/", id)
		out["xenstore-ls -f "+home+"memory"] = home + "memory/target = \"102400\"\n" + home + "memory/static-max = \"262144\"\n"
		out["xenstore-ls -f "+home+"data"] = home + "data/meminfo_free = \"1024\"\n" + home + "data/owner = \"" + g.name + "\"\n"
	}
	listing.WriteString("T\n")
	out["xl list -v"], out["xl uptime"], out["xentop -b -f -i 1"] = list.String(), uptime.String(), top.String()
	out["xl list -l"], out["xl tmem-list -l -a"] = config.String()+"]\n", listing.String()
	out["xl info"] = "host                   : " + h.name + "\nrelease                : 4.19.0\nnr_cpus                : 2\ntotal_memory           : 2687\n" +
		"free_memory            : 20\nxen_version            : 4.12.4\nxen_commandline        : tmem console=com1\n"
	out["xl dmesg"] = "(XEN) Command line: tmem console=com1\n(XEN) tmem: initialized comp=0 dedup=0 tze=0\n"
	return out
}

// capture records the real source and the extras on the machine.
func (h host) capture(tb testing.TB, redact bool, more map[string]string) *capture.Capture {
	tb.Helper()
	w := &world{files: map[string]any{"/proc/xen/capabilities": "control_d\n", "/proc/cmdline": "root=/dev/mapper/vg-root " + h.kernel}, runs: map[string][]ran{}}
	start := time.Date(2026, 11, 22, 13, 35, 0, 0, time.UTC)
	for cmd, out := range h.commands() {
		w.runs[cmd] = []ran{{res: run.Result{Stdout: []byte(out), Start: start, Duration: time.Second}}}
	}
	for name, text := range more {
		if strings.HasPrefix(name, "/") {
			w.files[name] = text
		} else {
			w.runs[name] = []ran{{res: run.Result{Stdout: []byte(text), Stderr: []byte(text), Start: start}}}
		}
	}
	rec := capture.Record(w.seams(), capture.Meta{XTM: "test", Role: capture.Host, Begin: start, Recorded: "on " + h.name})
	snapshot(tb, rec.Seams())
	if err := rec.Extras(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return rec.Capture(start.Add(time.Minute), capture.Options{Redact: redact})
}

// sameButForNames fails unless the snapshots differ in names and uuids only, one
// for one.
func sameButForNames(t rapidTB, plain, redacted xen.Snapshot) {
	t.Helper()
	if len(plain.Domains) != len(redacted.Domains) {
		t.Fatalf("%d domains became %d", len(plain.Domains), len(redacted.Domains))
	}
	names := map[string]string{}
	taken := map[string]bool{}
	for i := range plain.Domains {
		was, is := &plain.Domains[i], redacted.Domains[i]
		if got, ok := names[was.Name]; ok && got != is.Name || !ok && taken[is.Name] {
			t.Fatalf("%q became %q; others %q", was.Name, is.Name, names)
		}
		if was.Name != "Domain-0" && was.Name == is.Name {
			t.Fatalf("%q kept its name", was.Name)
		}
		names[was.Name], taken[is.Name] = is.Name, true
		was.Name, was.UUID = is.Name, is.UUID
	}
	if plain.Host.Name == redacted.Host.Name {
		t.Fatalf("the host kept its name %q", plain.Host.Name)
	}
	plain.Host.Name = redacted.Host.Name
	for i := range plain.Gaps {
		for was, is := range names {
			plain.Gaps[i].What = strings.ReplaceAll(plain.Gaps[i].What, fmt.Sprintf("%q", was), fmt.Sprintf("%q", is))
		}
	}
	if diff := cmp.Diff(plain, redacted, options); diff != "" {
		t.Fatalf("plain (-) and redacted (+) differ:\n%s", diff)
	}
}

// rapidTB is what rapid.T and testing.T have in common here.
type rapidTB interface {
	Helper()
	Fatalf(string, ...any)
}

// words are names that could break a text if they were replaced everywhere.
var words = []string{
	"a", "1", "42", "xl", "Name", "State", "ID", "memory", "data", "tmem", "host", "total_memory", "xen_version", "name", "config",
	"uuid", "pv", "target", "local", "domain", "list", "init", "console", "com1", "0", "C", "CI", "------", "r-----", "------ 5", "5 6 7 r----- 1.0",
	"dom-1", "dom-2", "guest-1", "dom", "redacted-1", "[redacted]", "no limit", "true", "null", "permission", "Domain", "in it", "über",
	"a-name-that-is-longer-than-the-forty-columns-it-has", `q"uote`, `back\slash`, "x,y", "(x)", "k:v", "k = v", "release", "static-max",
}

// Whatever the domains are called, the redacted capture says the same.
func TestRedactedCaptureSaysTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := host{name: rapid.SampledFrom(append(words, "xenhost")).Draw(rt, "host")}
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, 8, rapid.ID).Draw(rt, "names")
		for i, n := range names {
			h.guests = append(h.guests, guest{name: n, uuid: fmt.Sprintf("1d9f7584-e679-11f1-971d-5fe41563%04x", i), mac: fmt.Sprintf("00:16:3e:00:01:%02x", i), ip: fmt.Sprintf("10.0.0.%d", i)})
		}
		plain := snapshot(t, h.capture(t, false, nil).Seams())
		redacted := h.capture(t, true, nil)
		sameButForNames(rt, plain, snapshot(t, redacted.Seams()))
		if diff := capture.Diff(redacted, h.capture(t, true, nil)); diff != "" {
			rt.Fatalf("two runs differ:\n%s", diff)
		}
	})
}

func TestRedactedPhasesSayTheSame(t *testing.T) {
	for _, name := range importtest.Phases() {
		t.Run(name, func(t *testing.T) {
			phase := importtest.Phase(t, name)
			plain := snapshot(t, phase.Seams())
			rec := capture.Record(phase.Seams(), phase.Meta)
			snapshot(t, rec.Seams())
			if err := rec.Extras(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := rec.Capture(phase.Meta.End, capture.Options{Redact: true})
			redacted := snapshot(t, c.Seams())
			if plain.Host.Name == "" { // builtin has no xl info
				plain.Host.Name, redacted.Host.Name = "x", "y"
			}
			sameButForNames(t, plain, redacted)
			if found := contains(t, c, "web1", "db1", "cache1", "idle1", "plain1", "xenhost", "00:16:3e", "1d9f7584-e679-11f1-971d-5fe415631a83"); len(found) > 0 {
				t.Errorf("found %q", found)
			}
		})
	}
}

// contains looks for words in every byte and file name that would be written,
// in any case of letters.
func contains(tb testing.TB, c *capture.Capture, words ...string) []string {
	tb.Helper()
	files, err := c.Written()
	if err != nil {
		tb.Fatal(err)
	}
	var found []string
	for name, b := range files {
		all := bytes.ToLower(append([]byte(name+"\n"), b...))
		for _, w := range words {
			if bytes.Contains(all, []byte(strings.ToLower(w))) {
				found = append(found, fmt.Sprintf("%s in %s", w, name))
			}
		}
	}
	return found
}

// No secret, and of a redacted capture no name, is in any byte that is written.
func TestNothingLeaks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Names are told from the capture's own words by being long and odd.
		odd := rapid.StringMatching(`[A-Za-z][a-z0-9_-]{4,9}[0-9][a-z0-9]`)
		h := host{name: "q" + odd.Draw(rt, "host")}
		secret := "S3" + rapid.StringMatching(`[A-Za-z0-9+/!.]{8,16}`).Draw(rt, "secret")
		hidden := []string{h.name}
		for i := range rapid.IntRange(1, 5).Draw(rt, "guests") {
			g := guest{
				name: fmt.Sprintf("z%s%d", odd.Draw(rt, "name"), i),
				uuid: fmt.Sprintf("%08x-1111-4222-8333-%012x", rapid.Uint32Range(1<<24, 1<<31).Draw(rt, "uuid"), i+77777),
				mac:  fmt.Sprintf("00:16:3e:%02x:77:%02x", rapid.Byte().Draw(rt, "mac"), i),
				ip:   fmt.Sprintf("10.%d.77.%d", rapid.Byte().Draw(rt, "ip"), i+1),
			}
			h.guests = append(h.guests, g)
			hidden = append(hidden, g.name, g.uuid, g.mac, g.ip)
		}
		g := h.guests[rapid.IntRange(0, len(h.guests)-1).Draw(rt, "which")]
		h.kernel = "rd.iscsi.password=" + secret + " netroot=iscsi:user:" + secret + "@" + g.ip + "::::iqn.2014-01.com." + h.name + ":disk"
		prose := rapid.SampledFrom([]string{" ", "-", "/", "_", "", ": "}).Draw(rt, "around")
		more := map[string]string{
			"dmesg":                     "[    0.1] about" + prose + g.name + prose + "and " + strings.ToUpper(h.name) + " at " + g.ip + ", " + g.mac + "; token: " + secret + "\n",
			"/etc/default/grub":         "GRUB_CMDLINE_LINUX=\"root=/dev/mapper/" + strings.ReplaceAll(h.name, "-", "--") + "--vg-root uuid=" + g.uuid + " password=" + secret + "\"\n",
			"/proc/sys/kernel/hostname": h.name + ".example.com\n",
			"/proc/version":             "Linux version 4.19.0 (root@" + h.name + ")\n",
			"xl dmesg":                  "(XEN) Command line: tmem url=https://user:" + secret + "@" + h.name + "/\n",
		}
		if found := contains(t, h.capture(t, false, more), secret); len(found) > 0 {
			rt.Fatalf("without redaction: %q", found)
		}
		if found := contains(t, h.capture(t, true, more), append(hidden, secret)...); len(found) > 0 {
			rt.Fatalf("%q", found)
		}
	})
}

func BenchmarkCapture(b *testing.B) {
	h := host{name: "xenhost"}
	for i := range 1000 {
		h.guests = append(h.guests, guest{name: fmt.Sprintf("customer-%d", i), uuid: fmt.Sprintf("1d9f7584-e679-11f1-971d-%012x", i), mac: fmt.Sprintf("00:16:3e:00:%02x:%02x", i>>8, i&255), ip: fmt.Sprintf("10.0.%d.%d", i>>8, i&255)})
	}
	for name, redact := range map[string]bool{"plain": false, "redacted": true} {
		b.Run(name, func(b *testing.B) {
			c := h.capture(b, false, nil)
			rec := capture.Record(c.Seams(), c.Meta)
			snapshot(b, rec.Seams())
			for b.Loop() {
				rec.Capture(c.Meta.End, capture.Options{Redact: redact})
			}
		})
	}
}
