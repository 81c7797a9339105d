package xl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xenstore/domkeys"
)

// config is one domain of xl list -l.
type config struct {
	id         opt.Value[int64] // absent where xl did not print it right
	uuid, name string
	kind       string // "pv", "hvm", "pvh"
	staticMax  opt.Value[units.KiB]
	pci        int
}

// config adds what the toolstack's configuration says: the static maximum, the
// type and the devices passed through. Its target and its maximum are what the
// domain was made with, not what the hypervisor has.
func (r *reader) config() {
	configs, err := read(r, configCmd, parseConfig)
	r.gap("configuration of domains", err)
	byID, byUUID, byName := map[int64]config{}, map[string]config{}, map[string][]config{}
	for _, c := range configs {
		if id, ok := c.id.Get(); ok {
			byID[id] = c
		}
		byUUID[c.uuid] = c
		byName[c.name] = append(byName[c.name], c)
	}
	named := map[string]int{}
	for i := range r.snap.Domains {
		named[r.snap.Domains[i].Name]++
	}
	r.each(func(d *xen.Domain, id int) {
		c, ok := byID[int64(id)]
		if !ok && d.UUID != "" {
			c, ok = byUUID[d.UUID]
		}
		if same := byName[d.Name]; !ok && d.Name != "" && named[d.Name] == 1 && len(same) == 1 && !same[0].id.Has() {
			c, ok = same[0], true
		}
		if ok {
			d.StaticMax, d.Type, d.PCI = c.staticMax, c.kind, opt.Of(c.pci)
		}
	})
}

// parseConfig reads xl list -l. Which form it has is set by
// default_output_format in xl.conf: SXP on 4.0 and 4.1, JSON by default from 4.2
// on. Domains that xl did not start, and up to 4.4 Domain-0, are not in it.
func parseConfig(b []byte) ([]config, error) {
	switch text := bytes.TrimSpace(b); {
	case len(text) == 0:
		return nil, fmt.Errorf("it is empty: xl keeps no configuration of these domains: %w", cause.ErrNoData)
	case text[0] == '(':
		return parseSXP(string(text))
	default:
		return parseJSON(text)
	}
}

// jsonDomain is what is wanted of:
//
//	[ { "domid": 1, "config": {
//	      "c_info": { "type": "pv", "name": "web1", "uuid": "1d9f7584-e679-11f1-971d-5fe415631a83", … },
//	      "b_info": { "max_vcpus": 2, "max_memkb": 524288, "target_memkb": 262144, … },
//	      "pcidevs": [ … ], … } }, … ]
//
// (Xen 4.12.4). "pcidevs" is left out where there is none.
type jsonDomain struct {
	DomID  *int64 `json:"domid"`
	Config struct {
		Create struct {
			Type string `json:"type"`
			Name string `json:"name"`
			UUID string `json:"uuid"`
		} `json:"c_info"`
		Build struct {
			MaxMemKB json.Number `json:"max_memkb"` // may exceed int64: "no limit"
		} `json:"b_info"`
		PCI []json.RawMessage `json:"pcidevs"`
	} `json:"config"`
}

// parseJSON reads arrays of domains, or domains one after the other.
func parseJSON(b []byte) ([]config, error) {
	var out []config
	for in := json.NewDecoder(bytes.NewReader(b)); ; {
		var value json.RawMessage
		if err := in.Decode(&value); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("byte %d: %w", in.InputOffset(), err)
		}
		if value[0] != '[' {
			value = append(append(json.RawMessage("["), value...), ']')
		}
		var domains []jsonDomain
		if err := json.Unmarshal(value, &domains); err != nil {
			return nil, fmt.Errorf("before byte %d: %w", in.InputOffset(), err)
		}
		for _, d := range domains {
			c := config{
				uuid: strings.ToLower(d.Config.Create.UUID), name: d.Config.Create.Name, kind: kindOf(d.Config.Create.Type),
				staticMax: domkeys.KiB(d.Config.Build.MaxMemKB.String()), pci: len(d.Config.PCI),
			}
			if d.DomID != nil {
				c.id = opt.Of(*d.DomID)
			}
			out = append(out, c)
		}
	}
}

// kindOf keeps the types that xen.Domain knows.
func kindOf(s string) string {
	switch s {
	case "pv", "hvm", "pvh":
		return s
	}
	return ""
}

// parseSXP reads the older form. Values are printed bare, so that a name may
// hold what it likes: the line's indent and last bracket bound it.
//
//	(domain
//		(domid 3)
//		(domain_create_info)
//		(hvm 0)
//		(name web1)
//		(uuid 1d9f7584-e679-11f1-971d-5fe415631a83)
//		(domain_build_info)
//		(max_memkb 524288)
//		(target_memkb 262144)
//		(device
//			(pci
//				(pci dev 0000:03:00.0@00)
//	…
//	)
//
// (shape of Xen 4.1.0's printf_info in tools/libxl/xl_cmdimpl.c, made-up
// values). 4.2.0 prints (domid -1) and no uuid for every domain, from a variable
// of another command; 4.2.5 was read to be right.
func parseSXP(text string) ([]config, error) {
	var out []config
	open := false
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		switch {
		case line == "(domain":
			if open {
				return nil, fmt.Errorf("line %d: a domain within a domain", n)
			}
			out, open = append(out, config{}), true
			continue
		case line == ")":
			open = false
			continue
		case !open && strings.TrimSpace(line) != "":
			return nil, fmt.Errorf("line %d: want %q: %.100q", n, "(domain", line)
		case line == "\t\t(pci":
			out[len(out)-1].pci++
			continue
		}
		field, ok := strings.CutPrefix(line, "\t(")
		if !ok {
			continue // a device, or the image
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(field, ")"), " ")
		c := &out[len(out)-1]
		switch key {
		case "domid":
			if id, rest, ok := lastNumber(value); ok && rest == "" {
				c.id = opt.Of(id)
			}
		case "hvm":
			c.kind = map[string]string{"0": "pv", "1": "hvm"}[value]
		case "name":
			c.name = name(value)
		case "uuid":
			if isUUID(value) {
				c.uuid = strings.ToLower(value)
			}
		case "max_memkb":
			c.staticMax = domkeys.KiB(value)
		}
	}
	if open {
		return nil, fmt.Errorf("line %d: the text ends within a domain", n)
	}
	return out, nil
}
