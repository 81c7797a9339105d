package xl

import (
	"fmt"
	"strings"

	"xtm/internal/cause"
	"xtm/xen"
)

// join gives the domains of xl list the exact figures of xentop. xentop shows no
// numbers, so the name is the bridge; where a name is there twice it leads
// nowhere (xentop sorts by name, in no order within one), and the domain keeps
// the whole MiB of xl list rather than perhaps another's figures.
func join(list []xen.Domain, haveList bool, top []xen.Domain, haveTop bool) ([]xen.Domain, []xen.Gap) {
	switch {
	case !haveList:
		return top, nil
	case !haveTop:
		return list, nil
	}
	inList := map[string]int{}
	for _, d := range list {
		inList[d.Name]++
	}
	inTop := map[string][]int{}
	for i, d := range top {
		inTop[d.Name] = append(inTop[d.Name], i)
	}
	var absent, ambiguous, born []string
	out := make([]xen.Domain, 0, len(list))
	for _, d := range list {
		switch at := inTop[d.Name]; {
		case len(at) == 0:
			absent = append(absent, fmt.Sprintf("%d %q", d.ID.Or(0), d.Name))
		case len(at) > 1 || inList[d.Name] > 1:
			ambiguous = append(ambiguous, fmt.Sprintf("%d %q", d.ID.Or(0), d.Name))
		default:
			t := top[at[0]]
			d.Current, d.Limit, d.Unlimited = t.Current, t.Limit, t.Unlimited
		}
		out = append(out, d)
	}
	for _, t := range top {
		if inList[t.Name] == 0 {
			born = append(born, fmt.Sprintf("%q", t.Name))
			out = append(out, t)
		}
	}
	var gaps []xen.Gap
	add := func(who []string, what, why string) {
		if len(who) > 0 {
			gaps = append(gaps, xen.Gap{What: what + " " + some(who), Why: why, Cause: cause.NoData})
		}
	}
	add(absent, "limit and exact memory of", "xentop does not show it: it has no name or was gone by then; its memory is the whole MiB of xl list")
	add(ambiguous, "limit and exact memory of", "its name is there more than once and xentop shows no numbers; its memory is the whole MiB of xl list")
	add(born, "number of", "xl list does not show it: it was made after that")
	return out, gaps
}

// some names the first few of many.
func some(who []string) string {
	const few = 5
	if len(who) <= few {
		return strings.Join(who, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(who[:few], ", "), len(who)-few)
}
