// Package apt makes a configuration of apt's own that needs no root and leaves
// /etc alone: it reads where the machine gets its packages from, and writes the
// same archives with their sources into a folder of the caller's.
package apt

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"xtm/internal/hostfs"
)

// Stanza is an archive as apt's deb822 format has it.
type Stanza struct {
	URIs, Suites, Components []string
	// SignedBy is a path or a key, "" where apt trusts any of its keys.
	SignedBy string
	// Trusted tells that the user turned the signatures off.
	Trusted bool
	// Pos is the file and line.
	Pos string
}

// Sources are the archives of a machine.
type Sources struct {
	Stanzas []Stanza
	// Dropped are archives of others than the distribution, with the reason.
	Dropped []string
}

// fileName is what apt reads of sources.list.d; it passes over other names.
var fileName = regexp.MustCompile(`^[A-Za-z0-9_.-]+\.(list|sources)$`)

// ReadSources reads /etc/apt of a machine. Disabled stanzas and archives of
// others than Debian and Ubuntu are left out.
func ReadSources(files hostfs.Files) (Sources, error) {
	paths := []string{"/etc/apt/sources.list"}
	names, err := files.ReadDir("/etc/apt/sources.list.d")
	if err == nil {
		for _, n := range names {
			if fileName.MatchString(n) {
				paths = append(paths, "/etc/apt/sources.list.d/"+n)
			}
		}
	}
	var s Sources
	for _, p := range paths {
		b, err := files.ReadFile(p)
		if err != nil {
			continue // there may be no such file, and what others may not read is not the distribution's
		}
		parse := ParseList
		if strings.HasSuffix(p, ".sources") {
			parse = ParseDeb822
		}
		stanzas, err := parse(p, b)
		if err != nil {
			return s, err
		}
		for _, st := range stanzas {
			s.add(st)
		}
	}
	return s, nil
}

// add keeps a stanza of the distribution's own, once.
func (s *Sources) add(st Stanza) {
	var own []string
	for _, u := range st.URIs {
		if st.distribution(u) {
			own = append(own, u)
		} else {
			s.Dropped = append(s.Dropped, fmt.Sprintf("%s: %s is not the distribution's", st.Pos, u))
		}
	}
	st.URIs = own
	same := func(o Stanza) bool {
		return slices.Equal(o.URIs, st.URIs) && slices.Equal(o.Suites, st.Suites) && slices.Equal(o.Components, st.Components)
	}
	if len(own) > 0 && !slices.ContainsFunc(s.Stanzas, same) {
		s.Stanzas = append(s.Stanzas, st)
	}
}

// distribution tells whether an archive is Debian's or Ubuntu's, or a mirror.
func (st Stanza) distribution(uri string) bool {
	key := path.Base(st.SignedBy)
	if strings.HasPrefix(key, "debian-archive-") || strings.HasPrefix(key, "ubuntu-archive-") {
		return true
	}
	u, err := url.Parse(uri)
	if err != nil || st.SignedBy != "" {
		return false
	}
	last := path.Base(strings.TrimRight(u.Path, "/"))
	return strings.HasPrefix(last, "debian") || strings.HasPrefix(last, "ubuntu") ||
		strings.HasPrefix(u.Host, "security.debian.") || strings.HasPrefix(u.Host, "security.ubuntu.")
}

// Text writes the archives with packages and sources, in deb822 format.
func (s Sources) Text() string {
	var b strings.Builder
	for i, st := range s.Stanzas {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("Types: deb deb-src\nURIs: " + strings.Join(st.URIs, " ") + "\nSuites: " + strings.Join(st.Suites, " ") + "\n")
		if len(st.Components) > 0 {
			b.WriteString("Components: " + strings.Join(st.Components, " ") + "\n")
		}
		if st.SignedBy != "" {
			b.WriteString("Signed-By: " + strings.ReplaceAll(st.SignedBy, "\n", "\n ") + "\n")
		}
		if st.Trusted {
			b.WriteString("Trusted: yes\n")
		}
	}
	return b.String()
}

// URLs are the archives' addresses, for a message to someone without them.
func (s Sources) URLs() []string {
	var out []string
	for _, st := range s.Stanzas {
		for _, u := range st.URIs {
			for _, suite := range st.Suites {
				out = append(out, strings.TrimRight(u, "/")+"/dists/"+suite)
			}
		}
	}
	return out
}

// Config is the text of an apt configuration with which apt keeps all that it
// writes in a folder; the distribution's own is read before it.
func Config(dir string) string {
	q := func(s string) string { return `"` + s + `";` + "\n" }
	return "Dir::Etc::sourcelist " + q("/dev/null") +
		"Dir::Etc::sourceparts " + q(dir+"/sources.d") +
		"Dir::State::lists " + q(dir+"/lists") +
		"Dir::Cache " + q(dir+"/cache") +
		"Dir::Log " + q(dir+"/log") +
		"Acquire::Languages " + q("none") +
		"Acquire::Retries " + q("3") +
		// Packages and Sources are all that is asked for.
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled " + q("false") +
		"Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled " + q("false") +
		"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled " + q("false") +
		"APT::Update::Post-Invoke-Success " + q("") +
		"APT::Update::Post-Invoke " + q("")
}
