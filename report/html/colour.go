package html

import "slices"

// colours are the classes that domains have got so far, by name: a domain has
// the same colour in every chart where that is free.
type colours map[string]string

// give returns the series with a class each, none of them twice.
func (c colours) give(list []Series) []Series {
	list = slices.Clone(list)
	taken := map[string]bool{}
	for i, s := range list {
		if s.Class == "" && c[s.Name] != "" && !taken[c[s.Name]] {
			list[i].Class = c[s.Name]
			taken[c[s.Name]] = true
		}
	}
	unused := func(class string) bool {
		for _, other := range c {
			if other == class {
				return false
			}
		}
		return true
	}
	for i, s := range list {
		if s.Class != "" {
			continue
		}
		var free []string
		for n := range maxSeries {
			if class := "s" + itoa(n); !taken[class] {
				free = append(free, class)
			}
		}
		class := free[0] // limit leaves no more names than there are colours
		if n := slices.IndexFunc(free, unused); n >= 0 {
			class = free[n]
		}
		list[i].Class, taken[class] = class, true
		if c[s.Name] == "" {
			c[s.Name] = class
		}
	}
	return list
}
