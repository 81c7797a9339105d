package redact

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// class is one kind of name with its pseudonyms.
type class struct {
	form string
	// others are forms for the case that somebody's real names look like form.
	others []string
	// bytes, where set, is the number of bytes that form wants of a number.
	bytes int

	met    []string // in order
	seen   map[string]bool
	wishes map[string]int // the number that a name should have
	given  map[string]string
}

// of returns the pseudonym of a name; while learning, the name.
func (c *class) of(name string) string {
	if p, ok := c.given[name]; ok {
		return p
	}
	if !c.seen[name] {
		if c.seen == nil {
			c.seen = map[string]bool{}
		}
		c.seen[name] = true
		c.met = append(c.met, name)
	}
	return name
}

// numbered is of, for a name whose domain's number is known.
func (c *class) numbered(name string, domid int) string {
	if c.given == nil {
		if c.wishes == nil {
			c.wishes = map[string]int{}
		}
		if _, ok := c.wishes[name]; !ok {
			c.wishes[name] = domid
		}
	}
	return c.of(name)
}

// assign gives out pseudonyms: no two names share one, and none is a name that
// was met.
func (c *class) assign() {
	for _, f := range c.others {
		if prefix, _, _ := strings.Cut(c.form, "%"); !slices.ContainsFunc(c.met, func(m string) bool {
			return strings.Contains(strings.ToLower(m), prefix)
		}) {
			break
		}
		c.form = f
	}
	taken := map[string]bool{}
	maps.Copy(taken, c.seen)
	c.given = make(map[string]string, len(c.met))
	highest := 0
	for _, m := range c.met {
		n, ok := c.wishes[m]
		if p := c.pseudonym(n); ok && !taken[p] {
			c.given[m], taken[p] = p, true
		}
		highest = max(highest, n)
	}
	for _, m := range c.met {
		if _, ok := c.given[m]; ok {
			continue
		}
		for {
			highest++
			if p := c.pseudonym(highest); !taken[p] {
				c.given[m], taken[p] = p, true
				break
			}
		}
	}
}

// pseudonym is the n-th of the class.
func (c *class) pseudonym(n int) string {
	switch c.bytes {
	case 2: // of an IPv4 address
		return fmt.Sprintf(c.form, fmt.Sprintf("%d.%d", n>>8&0xff, n&0xff))
	case 3: // of a MAC address
		return fmt.Sprintf(c.form, fmt.Sprintf("%02x:%02x:%02x", n>>16&0xff, n>>8&0xff, n&0xff))
	default:
		return fmt.Sprintf(c.form, n)
	}
}
