package exporter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"xtm/report"

	dto "github.com/prometheus/client_model/go"
)

// maxLabel bounds a label's value in bytes.
const maxLabel = 128

// labelValue makes a label of a text that somebody else chose: valid UTF-8,
// without control characters, of bounded length.
func labelValue(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // RuneError for a byte that is not UTF-8
	}, s[:min(len(s), maxLabel+1)])
	if len(s) <= maxLabel {
		return s
	}
	cut := maxLabel - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// identity are the labels that say which domain it is.
type identity struct{ domain, domid, uuid string }

// labels are the identity's, with more between domid and uuid: pairs of name
// and value, in alphabetical order.
func (i identity) labels(more ...string) []*dto.LabelPair {
	pairs := make([]string, 0, 6+len(more))
	pairs = append(append(append(pairs, "domain", i.domain, "domid", i.domid), more...), "uuid", i.uuid)
	return labels(pairs...)
}

// identify gives a domain labels that no other domain of the report has: a
// screen shows names alone, and two of those may be equal.
func identify(d *report.Domain, seen map[identity]bool) identity {
	who := identity{labelValue(d.Label()), domid(d), labelValue(d.UUID)}
	name := who.domain
	for n := 2; seen[who]; n++ {
		who.domain = fmt.Sprintf("%s (%d)", name, n)
	}
	seen[who] = true
	return who
}
