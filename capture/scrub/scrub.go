// Package scrub takes secrets out of what is recorded: always, and before a
// byte is written. It knows secrets by the words beside them, so what it misses
// is a secret that nothing names; xenstore, where guests keep theirs, passes by
// a list of allowed keys only.
package scrub

import (
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"xtm/capture/xlconfig"
)

// Mark stands where a secret stood.
const Mark = "[scrubbed]"

// Scrubber scrubs and counts.
type Scrubber struct {
	// Secrets counts the values that became Mark, Withheld the lines of
	// xenstore that were left out.
	Secrets, Withheld int

	fixed bool // a mark is as long as the secret
}

// Output scrubs what a program wrote to stdout.
func (s *Scrubber) Output(argv []string, b []byte) []byte {
	program, args := path.Base(argv[0]), argv[1:]
	switch {
	case strings.HasPrefix(program, "xenstore"):
		return s.xenstore(program, args, b)
	case program == "xl" && slices.Contains(args, "list") &&
		(slices.Contains(args, "-l") || slices.Contains(args, "--long")):
		if out, ok := xlconfig.Rewrite(b, s.configured); ok {
			return out
		}
	}
	return s.Text(b)
}

// configured scrubs one string of a domain's configuration.
func (s *Scrubber) configured(keys []string, value string) string {
	if slices.ContainsFunc(keys, secretName) && value != "" {
		return s.mark(value)
	}
	return string(s.Text([]byte(value)))
}

// File scrubs the content of a file.
func (s *Scrubber) File(name string, b []byte) []byte {
	switch {
	case binary.MatchString(name):
		return b
	case name == smbiosTable:
		return memoryModules(b)
	case strings.HasSuffix(name, ".gz"):
		return s.unpacked(name, b)
	case strings.HasPrefix(name, "/boot/config-"), name == "/proc/config":
		// CONFIG_KEYS=y is no secret: only strings can hold one.
		return configString.ReplaceAllFunc(b, s.Text)
	default:
		return s.Text(b)
	}
}

// binary are the files of registers and of tables that hold nothing which
// anybody wrote.
var binary = regexp.MustCompile(`^/sys/bus/pci/devices/[^/]+/config$|^/sys/firmware/acpi/tables/(?:DMAR|RMAD|XMAR|IVRS)$`)

var configString = regexp.MustCompile(`(?m)"[^"\n]*"$`)

// maxUnpacked bounds a packed file; 256 KiB is a large kernel configuration.
const maxUnpacked = 4 << 20

// unpacked scrubs inside a packed file, and keeps its bytes where there is
// nothing to scrub. What cannot be looked into is left out.
func (s *Scrubber) unpacked(name string, b []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return s.Text(b)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil || len(plain) > maxUnpacked {
		s.Secrets++
		return []byte(Mark + "\n")
	}
	scrubbed := s.File(strings.TrimSuffix(name, ".gz"), plain)
	if bytes.Equal(scrubbed, plain) {
		return b
	}
	return Pack(scrubbed)
}

// Pack compresses the content of a .gz file that was changed.
func Pack(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// Argv scrubs arguments; the value may be the argument after its name.
func (s *Scrubber) Argv(argv []string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		if i > 1 && optionName.MatchString(argv[i-1]) && secretName(argv[i-1]) {
			out[i] = s.mark(a)
		} else {
			out[i] = string(s.Text([]byte(a)))
		}
	}
	return out
}

var optionName = regexp.MustCompile(`^--?[A-Za-z][\w-]*$`)

// Text scrubs any text.
func (s *Scrubber) Text(b []byte) []byte {
	for _, r := range rules {
		if !bytes.ContainsAny(b, r.mark) {
			continue
		}
		b = r.ReplaceAllFunc(b, func(found []byte) []byte {
			m := r.FindSubmatch(found)
			head, value := string(m[1]), string(m[2])
			if harmless(head) {
				return found
			}
			// A quote that was opened before the name does not belong to the value.
			tail := ""
			if q := value[0]; q != '"' && q != '\'' && q != '\\' {
				trimmed := strings.TrimRight(value, `"'\`)
				value, tail = trimmed, value[len(trimmed):]
			}
			if value == "" {
				return found
			}
			return []byte(head + s.quotedMark(value) + tail + string(found[len(m[1])+len(m[2]):]))
		})
	}
	return b
}

// quotedMark keeps the quotes of a quoted value.
func (s *Scrubber) quotedMark(value string) string {
	for _, q := range []string{`\"`, `"`, `'`} {
		if inner, ok := strings.CutPrefix(value, q); ok {
			inner, closed := strings.CutSuffix(inner, q)
			if inner == "" {
				return value
			}
			if closed {
				return q + s.mark(inner) + q
			}
			return q + s.mark(inner)
		}
	}
	return s.mark(value)
}

func (s *Scrubber) mark(value string) string {
	mark := Mark
	if s.fixed {
		mark = (mark + strings.Repeat("-", len(value)))[:len(value)]
	}
	if value != mark {
		s.Secrets++
	}
	return mark
}

// Fixed scrubs texts that end in a NUL and stand in memory of a certain layout:
// no byte moves. A mark is cut or drawn out to the length of its secret.
func (s *Scrubber) Fixed(b []byte) []byte {
	s.fixed = true
	defer func() { s.fixed = false }()
	out := bytes.Clone(b)
	for at := 0; at < len(out); {
		n := bytes.IndexByte(out[at:], 0)
		if n < 0 {
			n = len(out) - at
		}
		copy(out[at:at+n], s.Text(out[at:at+n]))
		at += n + 1
	}
	return out
}

const (
	secretWord = `(?:passw|passphrase|pwd|secret|token|credential|creds|iscsi[\w.-]*user)`
	value      = `(\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"?|'[^'\n]*'?|\S+)`
)

// The rules, in order. Group 1 is kept, group 2 is the secret, what follows is
// kept. They rather take too much: after rbd:pool/image:id=admin:key=… the rest
// of the word goes too. A text without the rule's mark need not be searched:
// most strings have none.
var rules = []struct {
	mark string
	*regexp.Regexp
}{
	// -----BEGIN RSA PRIVATE KEY----- and what follows it
	{"-", regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----)(.+?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`)},
	// http://user:password@host, iscsi://user%password@host
	{"@", regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)([^\s"']+)@`)},
	// netroot=iscsi:user:password@host::::target
	{"@", regexp.MustCompile(`(?i)(iscsi:)((?:[^\s"'/]|/[^\s"'/])[^\s"']*)@`)},
	// rd.iscsi.password=…, vncpasswd='…', key=…, password = "…"
	{"=", regexp.MustCompile(`(?i)([\w.-]*(?:` + secretWord + `|key)[\w.-]*["']?(?:[ \t]+=[ \t]*|=))` + value)},
	// token: …
	{":", regexp.MustCompile(`(?i)([\w.-]*` + secretWord + `[\w.-]*["']?[ \t]*:[ \t]*)` + value)},
	// Authorization: Bearer …
	{" \t", regexp.MustCompile(`(?i)(\bbearer[ \t]+)([\w.~+/=-]{8,})`)},
	// hashes of GRUB and of crypt(3)
	{".", regexp.MustCompile(`(grub\.pbkdf2\.)(\S+)`)},
	{"$", regexp.MustCompile(`(\$(?:1|2[abxy]?|5|6|7|y|gy)\$)([^\s:"']+)`)},
}

// secretName tells whether a key's value is a secret.
func secretName(key string) bool { return nameOfSecret.MatchString(key) && !harmless(key) }

var (
	nameOfSecret = regexp.MustCompile(`(?i)` + secretWord + `|key`)
	layout       = regexp.MustCompile(`(?i)key(?:map|board|table)`)
)

// harmless knows the names that only look like a key's: rd.vconsole.keymap.
func harmless(name string) bool {
	return layout.MatchString(name) && !nameOfSecret.MatchString(layout.ReplaceAllString(name, ""))
}
