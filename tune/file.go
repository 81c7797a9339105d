package tune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"xtm/internal/atomicfile"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/opt"
	"xtm/internal/statedir"
	"xtm/internal/toml"
)

// Entry is what one section of a settings file wants.
type Entry struct {
	// Name is a name or a pattern as of a shell ("web*"); UUID is one domain's.
	// One of them is set.
	Name, UUID string
	Change     Change
}

// matches tells whether an entry means a domain.
func (e Entry) matches(d Domain) bool {
	if e.UUID != "" {
		return strings.EqualFold(e.UUID, d.UUID)
	}
	ok, err := path.Match(e.Name, d.Name)
	return ok && err == nil && d.Name != ""
}

func (e Entry) label() string {
	if e.UUID != "" {
		return "uuid " + e.UUID
	}
	return fmt.Sprintf("%q", e.Name)
}

// ParseSettings reads a settings file, strictly. Later sections win over earlier
// ones.
//
//	[[domain]]
//	name = "web*"
//	weight = 100
//
//	[[domain]]
//	uuid = "1d9f7584-e679-11f1-971d-5fe415631a83"
//	compress = true
func ParseSettings(text []byte) ([]Entry, error) {
	var file struct {
		Domain []struct {
			Name     string `toml:"name"`
			UUID     string `toml:"uuid"`
			Weight   *int64 `toml:"weight"`
			Compress *bool  `toml:"compress"`
		} `toml:"domain"`
	}
	if err := toml.Decode(text, &file); err != nil {
		return nil, fmt.Errorf("parse settings: %w", err)
	}
	out := make([]Entry, 0, len(file.Domain))
	for i, d := range file.Domain {
		e := Entry{Name: d.Name, UUID: d.UUID}
		bad := func(format string, args ...any) ([]Entry, error) {
			return nil, fmt.Errorf("parse settings: domain section %d: %s", i+1, fmt.Sprintf(format, args...))
		}
		if (e.Name == "") == (e.UUID == "") {
			return bad("want either name or uuid")
		}
		if _, err := path.Match(e.Name, ""); err != nil {
			return bad("%q is no pattern", e.Name)
		}
		if d.Weight != nil {
			if *d.Weight < 0 || *d.Weight > MaxWeight {
				return bad("weight %d: want 0 to %d", *d.Weight, MaxWeight)
			}
			e.Change.Weight = opt.Of(uint32(*d.Weight)) //nolint:gosec // as tested
		}
		if d.Compress != nil {
			e.Change.Compress = opt.Of(*d.Compress)
		}
		if !e.Change.Weight.Has() && !e.Change.Compress.Has() {
			return bad("it sets nothing: want weight or compress")
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("parse settings: no [[domain]] section")
	}
	return out, nil
}

// SetByFile plans what a settings file wants of the domains that are there. A
// section that means none of them is a note: its domain may not run.
func (s Seen) SetByFile(entries []Entry, from string) Plan {
	var p Plan
	used := make([]bool, len(entries))
	for _, d := range s.Domains {
		var want Change
		for i, e := range entries {
			if !e.matches(d) {
				continue
			}
			used[i] = true
			if e.Change.Weight.Has() {
				want.Weight = e.Change.Weight
			}
			if e.Change.Compress.Has() {
				want.Compress = e.Change.Compress
			}
		}
		if want.Weight.Has() || want.Compress.Has() {
			s.set(&p, d, want, from)
		}
	}
	for i, e := range entries {
		if !used[i] {
			p.note("no-such-domain", finding.Note, e.label(), "no tmem client of this host is meant by it now", "")
		}
	}
	s.noteWeights(&p)
	return p
}

// undoFile is a settings file that takes calls back; "" where none of them can
// be.
func undoFile(done []Call, at time.Time) string {
	var b strings.Builder
	for _, c := range done {
		var line string
		switch c.Op {
		case OpWeight:
			line = "weight = " + strconv.FormatUint(uint64(c.From), 10)
		case OpCompress:
			line = "compress = " + strconv.FormatBool(c.From == 1)
		default:
			continue
		}
		who := "name = " + quote(escapePattern(c.Domain.Name))
		if c.Domain.UUID != "" {
			who = "uuid = " + quote(c.Domain.UUID)
		}
		fmt.Fprintf(&b, "\n# %s\n[[domain]]\n%s\n%s\n", strings.Map(printable, c.String()), who, line)
	}
	if b.Len() == 0 {
		return ""
	}
	return "# What xtm tune changed at " + at.UTC().Format(time.RFC3339) + ". Undo it with: xtm tune apply THIS-FILE\n" + b.String()
}

// escapePattern makes a pattern that means one name.
func escapePattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// quote writes a TOML string. JSON's escapes are TOML's, but for the one
// character that TOML wants escaped too.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // no string fails
		return `""`
	}
	return strings.ReplaceAll(string(b), "\x7f", `\u007f`)
}

// printable keeps a comment on its line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// writeUndo keeps an undo file and says where.
func writeUndo(root hostfs.Root, at time.Time, text string) (string, error) {
	p := statedir.Path + "/undo/tune-" + at.UTC().Format("20060102T150405.000Z") + ".toml"
	if err := statedir.Make(root, path.Dir(p)); err != nil {
		return "", err
	}
	return p, atomicfile.Replace(root, p, []byte(text), 0o600)
}

// Apply is Host.Apply with an undo file. It lasts before the first call is made:
// where it cannot be kept, nothing is set.
func (k Keeper) Apply(ctx context.Context, p Plan) (Result, error) {
	if len(p.Calls) == 0 {
		return Result{}, nil
	}
	at := k.Now()
	undo, err := writeUndo(k.Root, at, undoFile(p.Calls, at))
	if err != nil {
		return Result{}, err
	}
	r, err := k.Host.Apply(ctx, p)
	if len(r.Done) == 0 {
		return r, errors.Join(err, statedir.Forget(k.Root, undo))
	}
	r.Undo = undo
	if len(r.Done) < len(p.Calls) {
		_, errUndo := writeUndo(k.Root, at, undoFile(r.Done, at))
		err = errors.Join(err, errUndo)
	}
	return r, err
}
