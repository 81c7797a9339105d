package redact

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

const (
	nilUUID   = "00000000-0000-0000-0000-000000000000"
	localhost = "localhost"
)

var (
	uuidForm = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	macForm  = regexp.MustCompile(`(?i)[0-9a-f]{2}(?::[0-9a-f]{2}){5,}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}`)
	ip4Form  = regexp.MustCompile(`[\d.]*\d\.\d[\d.]*`)
	ip6Form  = regexp.MustCompile(`(?i)[0-9a-f:]*:[0-9a-f.]*:[0-9a-f:.]*`)
	// An iSCSI name holds its owner's domain: iqn.2014-01.com.example:disk1.
	iqnForm = regexp.MustCompile(`(?i)iqn\.\d{4}-\d{2}\.[\w.:-]*\w`)
	// Hosts where they stand by the form: a URL, an NFS root, an iSCSI server.
	hostForm = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://(?:\[scrubbed\]@)?|nfsroot=|\bnfs:|\biscsi:(?:\[scrubbed\]@)?)([\w.-]*[a-z][\w.-]*)`)
	// user@host, such as the builder of a kernel in /proc/version.
	userForm     = regexp.MustCompile(`[\w.+-]+@[\w.-]*\w`)
	configString = regexp.MustCompile(`(?m)"[^"\n]*"$`)
)

// addresses replaces what is known by its form alone.
func (r *Redactor) addresses(b []byte) []byte {
	b = uuidForm.ReplaceAllFunc(b, func(m []byte) []byte { return []byte(r.uuid(string(m))) })
	b = macForm.ReplaceAllFunc(b, func(m []byte) []byte { return []byte(r.mac(string(m))) })
	b = iqnForm.ReplaceAllFunc(b, func(m []byte) []byte {
		return []byte("iqn.2000-01.invalid:" + r.remotes.of(string(m)))
	})
	b = hostForm.ReplaceAllFunc(b, func(m []byte) []byte {
		s := hostForm.FindSubmatch(m)
		return append(slices.Clone(s[1]), r.remote(string(s[2]))...)
	})
	b = userForm.ReplaceAllFunc(b, func(m []byte) []byte { return []byte(r.users.of(string(m))) })
	b = ip6Form.ReplaceAllFunc(b, func(m []byte) []byte { return []byte(r.ip6(string(m))) })
	return ip4Form.ReplaceAllFunc(b, func(m []byte) []byte { return []byte(r.ip4(string(m))) })
}

// UUID redacts the uuid of the domain with this number.
func (r *Redactor) UUID(uuid string, domid int) string {
	if uuid == nilUUID {
		return uuid
	}
	return r.uuids.numbered(strings.ToLower(uuid), domid)
}

func (r *Redactor) uuid(s string) string {
	if s == nilUUID {
		return s
	}
	return r.uuids.of(strings.ToLower(s))
}

// mac replaces six bytes; longer rows of bytes are hardware addresses too
// (InfiniBand) and give the same short pseudonyms.
func (r *Redactor) mac(s string) string {
	plain := strings.ToLower(strings.ReplaceAll(s, "-", ":"))
	if strings.Trim(plain, "0:") == "" || strings.Trim(plain, "f:") == "" {
		return s
	}
	return r.macs.of(plain)
}

// host replaces the name of the machine itself.
func (r *Redactor) host(s string) string {
	if s == "" || s == "(none)" || strings.HasPrefix(s, localhost) {
		return s
	}
	return r.hosts.of(s)
}

// remote replaces another machine's name. It is not looked for elsewhere, as
// any word may stand in a URL.
func (r *Redactor) remote(s string) string {
	if strings.HasPrefix(s, localhost) {
		return s
	}
	return r.remotes.of(s)
}

func (r *Redactor) ip4(s string) string {
	// The end of a sentence is not part of an address.
	bare := strings.TrimRight(s, ".")
	a, err := netip.ParseAddr(bare)
	if err != nil || a.IsLoopback() || a.IsUnspecified() || a.As4()[0] == 255 {
		return s
	}
	return r.ip4s.of(bare) + s[len(bare):]
}

func (r *Redactor) ip6(s string) string {
	// Colons and dots around an address belong to the text: ip=[…]:, addr:….
	for _, bare := range []string{s, strings.TrimRight(s, ":."), strings.TrimPrefix(s, ":"), strings.TrimPrefix(strings.TrimRight(s, ":."), ":")} {
		a, err := netip.ParseAddr(bare)
		if err != nil || !a.Is6() {
			continue
		}
		if a.IsLoopback() || a.IsUnspecified() {
			return s
		}
		return strings.Replace(s, bare, r.ip6s.of(bare), 1)
	}
	return s
}
