// Package redact replaces what tells whose machine a capture is from: domain
// and host names, uuids, MAC and IP addresses, user names beside a host. The
// same input gives the same pseudonyms, and the same name the same pseudonym
// wherever it stands.
//
// # Where names are replaced
//
// A name can be any word: a guest may be called "memory" or "a". So names are
// replaced in two ways.
//
// Where a name stands by the form of the text – a column of xl list, the host
// of xl info, name of a configuration – it is always replaced. The line keeps
// its length and so its columns. What stands beside it is figures and is left
// alone: in these texts nothing else is looked through for names.
//
// In free text – messages, kernel command lines, paths, versions – a name is
// replaced wherever it occurs, within larger words too, in any case of letters,
// if it has three characters, one of them a letter, and is no word of the
// vocabulary (vocabulary.go): those are in every capture, so that they tell
// nothing, and parsers look for them. Within a vocabulary word nothing is
// replaced either: a guest "itial" leaves "initialized" whole. Within another
// word the pseudonym stands in brackets, as web7 is not dom-17 where web is dom-1.
//
// Of a domain's configuration all strings go that no reader of xtm wants: disk
// and bridge names say much about their owner. The files of /proc and /sys that
// hold figures only pass unchanged.
//
// Pseudonyms follow the domain's number (dom-3, 00000000-0000-4000-8000-000000000003)
// and so stay the same from one capture of a running host to the next; what has
// no number is counted in the order in which it was met.
package redact

import (
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"slices"
	"strings"

	"xtm/capture/scrub"
)

// Redactor replaces names. It must see everything twice: until Learned is
// called it only learns, and what it returns is of no use.
type Redactor struct {
	domains, hosts                                 *class // looked for in free text
	remotes, users, uuids, macs, ip4s, ip6s, pools *class // known by their form

	known *finder // nil while learning
}

// New returns a Redactor that learns.
func New() *Redactor {
	return &Redactor{
		domains: &class{form: "dom-%d", others: []string{"guest-%d", "redacted-%d"}},
		hosts:   &class{form: "host-%d", others: []string{"redacted-host-%d"}},
		remotes: &class{form: "remote-%d"},
		users:   &class{form: "user-%d@invalid"},
		uuids:   &class{form: "00000000-0000-4000-8000-%012d"},
		macs:    &class{form: "02:00:00:%s", bytes: 3},
		ip4s:    &class{form: "198.18.%s", bytes: 2},
		ip6s:    &class{form: "fd00::%x"},
		pools:   &class{form: "U0:0,U1:%x"},
	}
}

// Learned ends the learning: pseudonyms are given out.
func (r *Redactor) Learned() {
	for _, c := range []*class{r.domains, r.hosts, r.remotes, r.users, r.uuids, r.macs, r.ip4s, r.ip6s, r.pools} {
		c.assign()
	}
	r.known = newFinder(r.domains.given, r.hosts.given)
}

// Output redacts what a program wrote to stdout.
func (r *Redactor) Output(argv []string, b []byte) []byte {
	program := path.Base(argv[0])
	var words []string
	for _, a := range argv[1:] {
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	sub := ""
	if len(words) > 0 {
		sub = words[0]
	}
	switch {
	case program == "xentop":
		return r.columns(b, xentopRow)
	case strings.HasPrefix(program, "xenstore"):
		return r.store(b)
	case program != "xl":
		return r.Text(b)
	case sub == "list" && (slices.Contains(argv, "-l") || slices.Contains(argv, "--long")):
		return r.configuration(b)
	case sub == "list":
		return r.columns(b, listRow)
	case sub == "vcpu-list":
		return r.columns(b, vcpuRow)
	case sub == "uptime":
		return r.columns(b, uptimeRow)
	case sub == "info":
		return r.info(b)
	case sub == "tmem-list":
		return r.Listing(b)
	default:
		return r.Text(b)
	}
}

// figures are the files that hold nothing which anybody named.
var figures = []string{
	"/proc/meminfo", "/proc/vmstat", "/proc/zoneinfo", "/proc/modules", "/proc/filesystems",
	"/proc/xen/", "/sys/module/", "/sys/kernel/", "/sys/devices/system/",
	"/sys/hypervisor/version/", "/sys/hypervisor/properties/", "/sys/hypervisor/pmu/",
	"/sys/hypervisor/type", "/sys/hypervisor/guest_type",
	"/proc/cpuinfo", "/proc/interrupts", "/sys/bus/pci/devices/", "/sys/firmware/acpi/tables/", "/sys/firmware/dmi/tables/",
	"/sys/class/dmi/id/",
}

// File redacts the content of a file.
func (r *Redactor) File(name string, b []byte) []byte {
	switch {
	case slices.ContainsFunc(figures, func(f string) bool {
		return name == f || strings.HasSuffix(f, "/") && strings.HasPrefix(name, f)
	}):
		return b
	case name == "/proc/sys/kernel/hostname", name == "/etc/hostname",
		name == "/sys/hypervisor/compilation/compile_domain":
		text := string(b)
		host := strings.TrimSpace(text)
		return []byte(strings.Replace(text, host, r.host(host), 1))
	case name == "/sys/hypervisor/compilation/compiled_by":
		return r.builder(b)
	case strings.HasSuffix(name, ".gz"):
		return r.unpacked(name, b)
	case strings.HasPrefix(name, "/boot/config-"), name == "/proc/config":
		return configString.ReplaceAllFunc(b, r.Text)
	default:
		return r.Text(b)
	}
}

// unpacked redacts inside a packed file, and keeps its bytes where nothing
// changes. The scrubber was here before: it unpacks, and not to too much.
func (r *Redactor) unpacked(name string, b []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return r.Text(b)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return r.Text(b)
	}
	changed := r.File(strings.TrimSuffix(name, ".gz"), plain)
	if bytes.Equal(changed, plain) {
		return b
	}
	return scrub.Pack(changed)
}

// Name redacts a path, or a name that was found at it. The kernel gives the
// names below /proc and /sys.
func (r *Redactor) Name(path, name string) string {
	if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") {
		return string(r.addresses([]byte(name)))
	}
	return r.String(name)
}

// Argv redacts arguments; the program keeps its name.
func (r *Redactor) Argv(argv []string) []string {
	out := slices.Clone(argv)
	for i := 1; i < len(out); i++ {
		out[i] = r.String(out[i])
	}
	return out
}

// String is Text of a string.
func (r *Redactor) String(s string) string { return string(r.Text([]byte(s))) }

// Text redacts free text.
func (r *Redactor) Text(b []byte) []byte {
	b = r.addresses(b)
	if r.known == nil {
		return b
	}
	return r.known.replace(b)
}
