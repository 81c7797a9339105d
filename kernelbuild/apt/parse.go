package apt

import (
	"fmt"
	"strings"
)

// ParseList reads a file in apt's format of one line an archive.
//
// Debian 11, /etc/apt/sources.list:
//
//	# deb cdrom:[Debian GNU/Linux 11]/ bullseye main
//	deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://deb.example.org/debian bullseye main contrib
//	deb-src http://security.debian.example/debian-security bullseye-security main
func ParseList(name string, b []byte) ([]Stanza, error) {
	var out []Stanza
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		pos := fmt.Sprintf("%s:%d", name, n)
		kind, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		if kind == "" {
			continue
		}
		if kind != "deb" && kind != "deb-src" {
			return nil, fmt.Errorf("read %s: the type %q is neither deb nor deb-src", pos, kind)
		}
		st := Stanza{Pos: pos}
		rest = strings.TrimSpace(rest)
		if inner, ok := strings.CutPrefix(rest, "["); ok {
			options, after, ok := strings.Cut(inner, "]")
			if !ok {
				return nil, fmt.Errorf("read %s: the options do not end", pos)
			}
			st.options(options)
			rest = after
		}
		f := strings.Fields(rest)
		if len(f) < 2 {
			return nil, fmt.Errorf("read %s: no address and suite", pos)
		}
		st.URIs, st.Suites, st.Components = f[:1], f[1:2], f[2:]
		out = append(out, st)
	}
	return out, nil
}

// options reads what stands in brackets.
func (st *Stanza) options(text string) {
	for o := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(o, "=")
		switch strings.ToLower(key) {
		case "signed-by":
			st.SignedBy = value
		case "trusted":
			st.Trusted = value == "yes"
		}
	}
}

// ParseDeb822 reads a file in apt's format of stanzas. Disabled ones are left
// out.
//
// Debian 12, /etc/apt/sources.list.d/debian.sources:
//
//	Types: deb
//	# http://snapshot.example.org/archive/debian/20250520T000000Z
//	URIs: http://deb.example.org/debian
//	Suites: bookworm bookworm-updates
//	Components: main
//	Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
func ParseDeb822(name string, b []byte) ([]Stanza, error) {
	var out []Stanza
	fields, key, start := map[string]string{}, "", 0
	end := func() error {
		defer func() { fields, key = map[string]string{}, "" }()
		if len(fields) == 0 || falsy(fields["enabled"]) {
			return nil
		}
		st := Stanza{
			URIs: strings.Fields(fields["uris"]), Suites: strings.Fields(fields["suites"]), Components: strings.Fields(fields["components"]),
			SignedBy: strings.Trim(fields["signed-by"], " "), Trusted: fields["trusted"] == "yes", Pos: fmt.Sprintf("%s:%d", name, start),
		}
		if fields["types"] == "" || len(st.URIs) == 0 || len(st.Suites) == 0 {
			return fmt.Errorf("read %s: a stanza without Types, URIs or Suites", st.Pos)
		}
		out = append(out, st)
		return nil
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			if err := end(); err != nil {
				return nil, err
			}
		case line[0] == ' ' || line[0] == '\t': // the value goes on
			if key == "" {
				return nil, fmt.Errorf("read %s:%d: a value of no field", name, n)
			}
			fields[key] += "\n" + strings.TrimSpace(line)
		default:
			k, v, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("read %s:%d: no field: %q", name, n, line[:min(len(line), 80)])
			}
			if len(fields) == 0 {
				start = n
			}
			key = strings.ToLower(strings.TrimSpace(k))
			fields[key] = strings.TrimSpace(v)
		}
	}
	return out, end()
}

// falsy are the words that apt takes for no.
func falsy(s string) bool {
	switch strings.ToLower(s) {
	case "no", "false", "without", "off", "disable", "0":
		return true
	default:
		return false
	}
}
