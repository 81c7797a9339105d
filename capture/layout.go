package capture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// The bounds of a capture, when it is written and when it is opened.
const (
	maxEntries = 50_000
	maxEntry   = hostfs.MaxFile
	maxTotal   = 256 << 20
)

// entries are the files of a capture by their paths in it.
type entries map[string][]byte

// tooMuch tells whether one more entry would pass a bound.
func (e entries) tooMuch(name string, size, total int64) error {
	switch {
	case len(e) >= maxEntries:
		return fmt.Errorf("entry %q: more than %d entries", name, maxEntries)
	case size > maxEntry:
		return fmt.Errorf("entry %q: more than %d bytes", name, maxEntry)
	case total > maxTotal:
		return fmt.Errorf("entry %q: more than %d bytes in all", name, maxTotal)
	}
	return nil
}

// counted is meta.json: with how many lines the tables have that may be missing,
// so that a lost one is noticed.
type counted struct {
	Meta
	Calls int `json:"calls,omitempty"`
	Keys  int `json:"keys,omitempty"`
}

// encode lays a capture out as files.
func (c *Capture) encode() (entries, error) {
	e := entries{}
	var total int64
	put := func(name string, b []byte) error {
		total += int64(len(b))
		if err := e.tooMuch(name, int64(len(b)), total); err != nil {
			return err
		}
		e[name] = b
		return nil
	}
	rows := make([]row, len(c.runs))
	for i, x := range c.runs {
		rows[i] = row{stem(i, x.argv), x}
		if err := put("run/"+rows[i].stem+".out", x.result.Stdout); err != nil {
			return nil, err
		}
		if err := put("run/"+rows[i].stem+".err", x.result.Stderr); err != nil {
			return nil, err
		}
	}
	keys := sortedLooks(c.looks)
	for _, k := range keys {
		if a := c.looks[k]; k.way == wayRead && (a.failure == failure{}) {
			if err := put("root"+k.path, a.data); err != nil {
				return nil, err
			}
		}
	}
	if err := c.encodeCalls(put); err != nil {
		return nil, err
	}
	if len(c.keys) > 0 {
		if err := put("xenstore.tsv", formatStore(c.keys)); err != nil {
			return nil, err
		}
	}
	meta, err := json.MarshalIndent(counted{c.Meta, len(c.calls), len(c.keys)}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode meta.json: %w", err)
	}
	for name, b := range map[string][]byte{
		"run.tsv":   formatRuns(rows),
		"root.tsv":  formatLooks(keys, c.looks),
		"meta.json": append(meta, '\n'),
	} {
		if err := put(name, b); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func sortedLooks(looks map[look]answer) []look {
	return slices.SortedFunc(maps.Keys(looks), func(a, b look) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.way, b.way))
	})
}

// stem names the files of a run: "007-xl-tmem-list-l-a".
func stem(i int, argv []string) string {
	words := slices.Concat([]string{path.Base(argv[0])}, argv[1:])
	plain := strings.Map(func(r rune) rune {
		if safeStem(string(r)) || r == '.' {
			return r
		}
		return '-'
	}, strings.Join(words, "-"))
	for strings.Contains(plain, "--") {
		plain = strings.ReplaceAll(plain, "--", "-")
	}
	return fmt.Sprintf("%03d-%s", i+1, strings.Trim(plain[:min(len(plain), 60)], "-"))
}

// decode reads a capture from its files. Each file that the tables name must be
// there, and each file below run/ and root/ must be named.
func decode(e entries) (*Capture, error) {
	c := &Capture{}
	meta, ok := e["meta.json"]
	if !ok {
		return nil, fmt.Errorf("meta.json is missing: %w", ErrNotCapture)
	}
	var said counted
	if err := json.Unmarshal(meta, &said); err != nil {
		return nil, fmt.Errorf("parse meta.json: %w", err)
	}
	c.Meta = said.Meta
	if s := c.Meta.Schema; s < 1 || s > Schema {
		return nil, fmt.Errorf("meta.json: schema %d: this xtm reads schema 1 to %d: %w", s, Schema, cause.ErrNotSupported)
	}
	left := maps.Clone(e)
	delete(left, "meta.json")
	take := func(name string) ([]byte, error) {
		b, ok := left[name]
		if !ok {
			return nil, fmt.Errorf("%s is missing", name)
		}
		delete(left, name)
		return b, nil
	}
	if err := c.decodeRuns(take); err != nil {
		return nil, err
	}
	if err := c.decodeLooks(take); err != nil {
		return nil, err
	}
	if err := c.decodeAsked(said, take); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if below(name, "run") || below(name, "root") || below(name, "call") {
			return nil, fmt.Errorf("%s is in no table", name)
		}
		c.Ignored = append(c.Ignored, name)
	}
	return c, nil
}

func (c *Capture) decodeRuns(take func(string) ([]byte, error)) error {
	table, err := take("run.tsv")
	if err != nil {
		return err
	}
	rows, err := parseRuns(table)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.result.Stdout, err = take("run/" + r.stem + ".out"); err != nil {
			return err
		}
		if r.result.Stderr, err = take("run/" + r.stem + ".err"); err != nil {
			return err
		}
		c.runs = append(c.runs, r.ran)
	}
	return nil
}

func (c *Capture) decodeLooks(take func(string) ([]byte, error)) error {
	table, err := take("root.tsv")
	if err != nil {
		return err
	}
	if c.looks, err = parseLooks(table); err != nil {
		return err
	}
	for k, a := range c.looks {
		if k.way != wayRead || a.failure != (failure{}) {
			continue
		}
		if a.data, err = take("root" + k.path); err != nil {
			return err
		}
		c.looks[k] = a
	}
	return nil
}

// decodeAsked reads what was asked of the hypervisor and of xenstore.
func (c *Capture) decodeAsked(said counted, take func(string) ([]byte, error)) error {
	if said.Calls > 0 {
		if err := c.decodeCalls(take); err != nil {
			return err
		}
	}
	if said.Keys > 0 {
		table, err := take("xenstore.tsv")
		if err != nil {
			return err
		}
		if c.keys, err = parseStore(table); err != nil {
			return err
		}
	}
	if len(c.calls) != said.Calls || len(c.keys) != said.Keys {
		return fmt.Errorf("%d hypercalls and %d keys of xenstore: meta.json says %d and %d", len(c.calls), len(c.keys), said.Calls, said.Keys)
	}
	return nil
}
