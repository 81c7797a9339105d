package redact

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"xtm/capture/xlconfig"
	"xtm/xen/xenstore/domkeys"
)

// A row of columns: group 1 is the name, group "id" the domain's number. Names
// may hold spaces and look like columns, so each form is matched from the right.
var (
	// listRow: "web1                    1   318     2     ------      32.8".
	listRow = regexp.MustCompile(`^ *(.*\S)\s+(?P<id>\d+)\s+\d+\s+\d+\s+[r-][b-][p-][s-][-rscw?][d-]\s`)
	// vcpuRow: "web1                    1     0    1   -b-      20.5  all / all".
	vcpuRow = regexp.MustCompile(`^ *(.*\S)\s+(?P<id>\d+)\s+\d+\s+(?:\d+|-)\s+[-rbp]{3}\s`)
	// uptimeRow: "web1                    1  1 day,  0:02:10".
	uptimeRow = regexp.MustCompile(`^ *(.*\S)\s+(?P<id>\d+)\s+(?:\d+ days?, +)?\d+:\d\d(?::\d\d)?\s*$`)
	// xentopRow: "      web1 ------         42    0.0     376892   13.7     525312 …".
	xentopRow = regexp.MustCompile(`^ *(.*\S)\s+[d-][s-][b-][c-][p-][r-]\s+\d+\s`)

	// What stands between the rows and names no domain.
	heading = regexp.MustCompile(`^\s*(?:Name|NAME|VCPUs\(sec\):|VBD |Net\d|Tmem:)`)
)

// name is the pseudonym of a domain's name; id is "" where it is not known.
func (r *Redactor) name(name, id string) string {
	switch n, err := strconv.Atoi(id); {
	case name == "Domain-0", name == "(null)", name == "":
		return name
	case err == nil && n < 1<<16:
		return r.domains.numbered(name, n)
	default:
		return r.domains.of(name)
	}
}

// columns replaces the name of each row and the uuid behind it.
func (r *Redactor) columns(b []byte, row *regexp.Regexp) []byte {
	var out bytes.Buffer
	out.Grow(len(b))
	for line := range strings.Lines(string(b)) {
		m := row.FindStringSubmatchIndex(line)
		switch {
		case m != nil:
			id := ""
			if g := row.SubexpIndex("id"); g > 0 {
				id = line[m[2*g]:m[2*g+1]]
			}
			pseudonym := r.name(line[m[2]:m[3]], id)
			out.WriteString(replaceField(line[:m[3]], m[2], pseudonym, line[m[3]:], r.rowUUID(id)))
		case heading.MatchString(line):
			out.WriteString(line)
		default:
			out.WriteString(r.String(line))
		}
	}
	return out.Bytes()
}

// replaceField puts a name in the place of the one that starts at byte from of
// head and ends it. Blanks before the name (xentop sets it right) or behind it
// (xl sets it left) take up the difference, so that every column stays.
func replaceField(head string, from int, name, rest string, uuids func(string) string) string {
	rest = uuids(rest)
	room := len(head) - from - len(name)
	before := head[:from]
	switch {
	case before != "" && room >= 0:
		return before + strings.Repeat(" ", room) + name + rest
	case before != "":
		return before[:max(0, len(before)+room)] + name + rest
	case room >= 0:
		return name + strings.Repeat(" ", room) + rest
	}
	// One blank at least has to part the columns.
	blanks := len(rest) - len(strings.TrimLeft(rest, " ")) - 1
	return name + rest[min(-room, max(0, blanks)):]
}

// rowUUID replaces the uuid of a domain by its number (xl list -v).
func (r *Redactor) rowUUID(id string) func(string) string {
	return func(rest string) string {
		return uuidForm.ReplaceAllStringFunc(rest, func(u string) string {
			if n, err := strconv.Atoi(id); err == nil && u != nilUUID {
				return r.uuids.numbered(strings.ToLower(u), n)
			}
			return r.uuid(u)
		})
	}
}

// infoLine is a line of xl info: "host                   : xenhost".
var infoLine = regexp.MustCompile(`^(\S+)(\s*: ?)(.*)$`)

// infoText are the keys of xl info under which people have their say.
var infoText = []string{"release", "version", "xen_commandline", "xen_changeset", "cc_compiler", "xen_extra"}

// info replaces the host and the builder; free text is looked through.
func (r *Redactor) info(b []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(b)) {
		text, ended := strings.CutSuffix(line, "\n")
		if m := infoLine.FindStringSubmatch(text); m != nil {
			switch {
			case m[1] == "host" || m[1] == "cc_compile_domain":
				text = m[1] + m[2] + r.host(m[3])
			case m[1] == "cc_compile_by":
				text = m[1] + m[2] + string(r.builder([]byte(m[3])))
			case slices.Contains(infoText, m[1]):
				text = m[1] + m[2] + r.String(m[3])
			}
		}
		out.WriteString(text)
		if ended {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// builder replaces who compiled something: "root" tells nothing.
func (r *Redactor) builder(b []byte) []byte {
	text := string(b)
	who := strings.TrimSpace(text)
	if who == "" || who == "root" {
		return b
	}
	if strings.Contains(who, "@") {
		return r.Text(b)
	}
	return []byte(strings.Replace(text, who, r.users.of(who), 1))
}

// storeName is /local/domain/1/name = "web1" in xenstore-ls -f.
var storeName = regexp.MustCompile(`^/local/domain/(\d+)/name = "(.*)"`)

// store replaces names and uuids; all else that passed the scrubber is figures.
func (r *Redactor) store(b []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(b)) {
		if m := storeName.FindStringSubmatchIndex(line); m != nil {
			line = line[:m[4]] + r.name(line[m[4]:m[5]], line[m[2]:m[3]]) + line[m[5]:]
		}
		out.WriteString(uuidForm.ReplaceAllStringFunc(line, r.uuid))
	}
	return out.Bytes()
}

// nameKey is where a domain's name stands in xenstore.
var nameKey = regexp.MustCompile(`^/local/domain/(\d+)/name$`)

// Key redacts a key that was read from xenstore itself; none is left out.
func (r *Redactor) Key(path, value string) (string, string, bool) {
	if m := nameKey.FindStringSubmatch(path); m != nil {
		value = r.name(domkeys.Name(value), m[1])
	}
	return uuidForm.ReplaceAllStringFunc(path, r.uuid), uuidForm.ReplaceAllStringFunc(value, r.uuid), true
}

// poolUUID is the uuid of a shared pool, in hex; private pools have 0.
var poolUUID = regexp.MustCompile(`U0:[0-9a-f]+,U1:[0-9a-f]+`)

// Listing redacts a tmem listing: the ids of shared pools.
func (r *Redactor) Listing(b []byte) []byte {
	return poolUUID.ReplaceAllFunc(b, func(m []byte) []byte {
		if string(m) == "U0:0,U1:0" {
			return m
		}
		return []byte(r.pools.of(string(m)))
	})
}

// settings are the keys of a configuration whose strings no owner chose.
var settings = []string{
	"type", "sched", "claim_mode", "format", "vdev", "virtpath", "backend", "run_hotplug_scripts",
	"on_poweroff", "on_reboot", "on_watchdog", "on_crash", "on_soft_reset", "tsc_mode", "timer_mode",
	"pci", "opts",
}

// simple is a string that is no name: a number, a switch, nothing.
var simple = regexp.MustCompile(`^(?:-?[0-9]*(?:\.[0-9]+)?|True|False|<\w+>|\(null\)|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$`)

// configuration replaces names, uuids and MACs, and takes out every string that
// is neither a setting nor a guest's kernel command line.
func (r *Redactor) configuration(b []byte) []byte {
	out, ok := xlconfig.Rewrite(b, func(keys []string, s string) string {
		if len(keys) == 0 {
			return r.String(s)
		}
		switch key := keys[len(keys)-1]; {
		case simple.MatchString(s), slices.Contains(settings, key):
			return s
		case key == "name" && (len(keys) == 1 || keys[len(keys)-2] == "c_info"):
			return r.name(s, "")
		case key == "uuid":
			return r.String(s)
		case key == "mac" && len(s) == 12: // SXP has no colons
			return strings.ReplaceAll(r.mac(s[:2]+":"+s[2:4]+":"+s[4:6]+":"+s[6:8]+":"+s[8:10]+":"+s[10:]), ":", "")
		case key == "mac":
			return r.mac(s)
		case key == "cmdline":
			return r.String(s)
		default:
			return "[redacted]"
		}
	})
	if !ok {
		return r.Text(b)
	}
	return out
}
