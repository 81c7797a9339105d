package tune

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/tmem"
)

// Op is what a call does to a domain.
type Op string

// The operations.
const (
	OpFreeze   Op = "freeze"
	OpThaw     Op = "thaw"
	OpWeight   Op = "weight"
	OpCompress Op = "compress"
)

// Call is one change of one domain.
type Call struct {
	Op     Op  `json:"op"`
	Domain Ref `json:"domain"`
	// From and To are the values before and after: a weight, or 0 and 1.
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
	// Reason says why, in a sentence.
	Reason string `json:"reason"`
}

// String is "weight of web1 (domain 1): 0 → 100".
func (c Call) String() string {
	switch c.Op {
	case OpFreeze, OpThaw:
		return fmt.Sprintf("%s %s", c.Op, c.Domain)
	case OpCompress:
		return fmt.Sprintf("compress of %s: %s → %s", c.Domain, onOff(c.From), onOff(c.To))
	}
	return fmt.Sprintf("%s of %s: %d → %d", c.Op, c.Domain, c.From, c.To)
}

func onOff(n uint32) string {
	if n == 0 {
		return "off"
	}
	return "on"
}

func flag(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}

// Plan is what is to be done, in order.
type Plan struct {
	Calls []Call `json:"calls"`
	// Notes are what was left alone, and what to know before.
	Notes []finding.Finding `json:"notes,omitempty"`
}

// note adds a finding.
func (p *Plan) note(check string, v finding.Verdict, subject, seen, advice string) {
	p.Notes = append(p.Notes, finding.Finding{Check: check, Subject: subject, Verdict: v, Seen: seen, Advice: advice})
}

// Change is what is wanted of a domain; what is absent stays as it is.
type Change struct {
	Weight   opt.Value[uint32]
	Compress opt.Value[bool]
}

// MaxWeight is the largest weight that xtm sets. Xen takes any of 32 bits, but
// lists it as a signed number and adds all of them up in one
// (client_weight_total in xen/common/tmem.c, 4.0–4.12).
const MaxWeight = 1<<31 - 1

// ParseChange reads "weight=100" and "compress=on".
func ParseChange(words []string) (Change, error) {
	var c Change
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return c, fmt.Errorf("%q is no setting: want weight=NUMBER or compress=on|off", w)
		}
		switch key {
		case "weight":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil || n > MaxWeight {
				return c, fmt.Errorf("weight=%.40s: want a whole number from 0 to %d", value, MaxWeight)
			}
			c.Weight = opt.Of(uint32(n))
		case "compress":
			on, ok := map[string]bool{"on": true, "1": true, "off": false, "0": false}[value]
			if !ok {
				return c, fmt.Errorf("compress=%.40s: want on or off", value)
			}
			c.Compress = opt.Of(on)
		case "cap":
			return c, fmt.Errorf("%.40s: no release of Xen ever heeded a cap, and 4.8 took it away", w)
		default:
			return c, fmt.Errorf("nothing is called %.40q: want weight=NUMBER or compress=on|off", key)
		}
	}
	if !c.Weight.Has() && !c.Compress.Has() {
		return c, errors.New("nothing to set: want weight=NUMBER or compress=on|off")
	}
	return c, nil
}

// Set plans a change for each of the domains.
func (s Seen) Set(domains []Domain, want Change, reason string) Plan {
	var p Plan
	for _, d := range domains {
		s.set(&p, d, want, reason)
	}
	s.noteWeights(&p)
	return p
}

func (s Seen) set(p *Plan, d Domain, want Change, reason string) {
	if why, busy := d.Busy(); busy {
		p.note("left-alone", finding.Note, d.String(), why, "It can be set when that is over.")
		return
	}
	if w, ok := want.Weight.Get(); ok && w != d.Weight {
		p.Calls = append(p.Calls, Call{OpWeight, d.Ref, d.Weight, w, reason})
	}
	on, ok := want.Compress.Get()
	if !ok || on == d.Compress {
		return
	}
	if s.dedups() {
		p.note("compress-refused", finding.Warning, d.String(),
			"Xen was booted with tmem_dedup, and refuses to switch compression then, without a word",
			"Boot without tmem_dedup, or with tmem_compress.")
		return
	}
	p.Calls = append(p.Calls, Call{OpCompress, d.Ref, flag(d.Compress), flag(on), reason})
}

// dedups tells whether Xen compares pages, as its command line says.
func (s Seen) dedups() bool {
	h := s.Snapshot.Host
	line, ok := h.CommandLine.Get()
	return ok && tmem.For(h.Version).Dedup && slices.ContainsFunc(strings.Fields(line), func(w string) bool {
		return w == "tmem_dedup" || w == "tmem_dedup=1" || w == "tmem_dedup=on" || w == "tmem_dedup=yes" || w == "tmem_dedup=true"
	})
}

// noteWeights says what Xen really does with the weights as they will be. Its
// test for "over quota" holds when a client has less than the share of its weight
// (client_over_quota and tmem_evict in xen/common/tmem.c, the same in trees of
// 4.0–4.3, 4.4–4.5 and 4.8–4.12), so that a client gives up its own pages first
// the larger its weight is. Only clients with a weight are tested.
func (s Seen) noteWeights(p *Plan) {
	weights := map[units.DomID]uint32{}
	for _, d := range s.Domains {
		weights[d.ID] = d.Weight
	}
	changed := false
	for _, c := range p.Calls {
		if c.Op == OpWeight {
			weights[c.Domain.ID], changed = c.To, true
		}
	}
	set, total := 0, uint64(0)
	for _, w := range weights {
		total += uint64(w)
		if w > 0 {
			set++
		}
	}
	switch {
	case !changed || set == 0:
	case total > MaxWeight:
		p.note("weights-overflow", finding.Warning, "host", fmt.Sprintf("the weights add up to %d, and Xen counts them in 31 bits", total), "Give smaller weights.")
	default:
		p.note("weights-work-backwards", finding.Note, "host",
			"Xen's test of a weight is the wrong way round: short of memory, a client that holds less than its weight's share gives up its own pages first, "+
				"and one with weight 0 never does",
			"A weight on one domain alone makes that one pay for its own cache. Weights on all make the small ones pay.")
	}
}

// Named are the domains of which one is meant by each word: a name, a number or
// a uuid. A word that means none is an error.
func (s Seen) Named(words []string) ([]Domain, error) {
	var out []Domain
	for _, w := range words {
		found := false
		for _, d := range s.Domains {
			if d.Name == w || d.UUID != "" && strings.EqualFold(d.UUID, w) || strconv.Itoa(int(d.ID)) == w {
				found = true
				if !slices.ContainsFunc(out, func(o Domain) bool { return o.ID == d.ID }) {
					out = append(out, d)
				}
			}
		}
		if !found {
			return nil, s.unknown(w)
		}
	}
	return out, nil
}

// unknown tells a domain that is no client from one that is not there.
func (s Seen) unknown(word string) error {
	clients := make([]string, 0, len(s.Domains))
	for _, d := range s.Domains {
		clients = append(clients, d.String())
	}
	e := &UnknownError{Word: word, Clients: clients}
	e.Exists = slices.ContainsFunc(s.Snapshot.Domains, func(d xen.Domain) bool {
		id, ok := d.ID.Get()
		return d.Name == word || d.UUID == strings.ToLower(word) && word != "" || ok && strconv.Itoa(int(id)) == word
	})
	return e
}

// UnknownError is a domain that was named and cannot be tuned.
type UnknownError struct {
	Word string
	// Exists tells that there is such a domain, which is no tmem client.
	Exists  bool
	Clients []string
}

func (e *UnknownError) Error() string {
	if e.Exists {
		return fmt.Sprintf("%.80q is no client of tmem: it never used it", e.Word)
	}
	return fmt.Sprintf("no domain is called %.80q", e.Word)
}

// Hints are the domains that can be tuned.
func (e *UnknownError) Hints() []string {
	if len(e.Clients) == 0 {
		return []string{"no domain of this host uses tmem; in a guest: xtm status"}
	}
	return []string{"clients of tmem are: " + strings.Join(e.Clients, ", ")}
}
