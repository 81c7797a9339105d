package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen/hypercall/hypercalltest"
)

func change(t *testing.T, words ...string) Change {
	t.Helper()
	c, err := ParseChange(words)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Setting issues exactly the calls that change something, one setting and one
// domain each, and reads back.
func TestSetIssuesTheRightCalls(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		s := f.look(t, nil)
		two, err := s.Named([]string{"db1", uuid(3)})
		if err != nil {
			t.Fatal(err)
		}
		// db1 has weight 50 already.
		plan := s.Set(two, change(t, "weight=50", "compress=on"), "because")
		r, err := f.Apply(t.Context(), plan)
		if err != nil || len(r.Done) != 3 {
			t.Fatalf("%+v, %v", r, err)
		}
		want := []string{"compress of 2 is 1", "weight of 3 is 50", "compress of 3 is 1"}
		if f.Way == "xl" {
			want = []string{"xl tmem-set -p 1 2", "xl tmem-set -w 50 3", "xl tmem-set -p 1 3"}
		}
		if diff := cmp.Diff(want, f.changes()); diff != "" {
			t.Error(diff)
		}
		// Xen has it, and nothing else was touched.
		after := f.look(t, nil)
		for i, want := range []string{"0 off", "50 on", "50 on"} {
			if got := fmt.Sprintf("%d %s", after.Domains[i].Weight, onOff(flag(after.Domains[i].Compress))); got != want {
				t.Errorf("%s: %s, want %s", after.Domains[i].Ref, got, want)
			}
		}
		// A second time there is nothing to do.
		if again := after.Set(after.Domains[1:], change(t, "weight=50", "compress=on"), ""); len(again.Calls) != 0 {
			t.Errorf("again: %v", again.Calls)
		}
	})
}

// Freezing writes the hold, thawing takes it away; each names one domain.
func TestFreezeAndThaw(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		k := f.keeper(t)
		s := f.look(t, k)
		h, _, err := k.Freeze(t.Context(), s.Domains[1], start.Add(time.Minute), false)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := Holds(k.Root)
		if diff := cmp.Diff([]Hold{h}, holds); diff != "" || err != nil {
			t.Error(err, diff)
		}
		s = f.look(t, k)
		if !s.Domains[1].Frozen || s.Domains[0].Frozen || s.Domains[1].Hold == nil {
			t.Errorf("%+v", s.Domains)
		}
		if _, _, err := k.Freeze(t.Context(), s.Domains[1], start, false); !errors.As(err, new(*HeldError)) {
			t.Errorf("frozen twice: %v", err)
		}
		// A hold of ours is no migration: it may be set.
		if p := s.Set(s.Domains[1:2], change(t, "weight=7"), ""); len(p.Calls) != 1 {
			t.Errorf("%+v", p)
		}
		if how, err := k.Release(t.Context(), h); how != Thawed || err != nil {
			t.Error(how, err)
		}
		want := []string{"frozen of 2 is 1", "frozen of 2 is 0"}
		if f.Way == "xl" {
			want = []string{"xl tmem-freeze 2", "xl tmem-thaw 2"}
		}
		if diff := cmp.Diff(want, f.changes()); diff != "" {
			t.Error(diff)
		}
		if holds, err := Holds(k.Root); len(holds) > 0 || err != nil {
			t.Error(holds, err)
		}
		if how, err := k.Release(t.Context(), h); how != WasThawed || err != nil {
			t.Error(how, err)
		}
	})
}

// An xl that says nothing and does nothing is found out, and nothing is left
// behind.
func TestSilentFailureIsAFailure(t *testing.T) {
	for _, release := range classes {
		f := newFake(t, release, "xl")
		f.xl.Deaf = true
		s := f.look(t, nil)
		r, err := f.Apply(t.Context(), s.Set(s.Domains, change(t, "weight=9"), ""))
		if !errors.Is(err, ErrSilent) || len(r.Done) > 0 || !strings.Contains(err.Error(), "weight of web1 (domain 1): 0 → 9, by xl") {
			t.Errorf("%s: %+v, %v", release, r, err)
		}
		k := f.keeper(t)
		if _, _, err := k.Freeze(t.Context(), s.Domains[0], start.Add(time.Minute), false); !errors.Is(err, ErrSilent) {
			t.Errorf("%s: freeze: %v", release, err)
		}
		if holds, err := Holds(k.Root); len(holds) > 0 || err != nil {
			t.Error(holds, err)
		}
		// A freeze that cannot be ended stays on record.
		f.xl.Deaf = false
		h, _, err := k.Freeze(t.Context(), s.Domains[0], start.Add(time.Minute), false)
		if err != nil {
			t.Fatal(err)
		}
		f.xl.Deaf = true
		if _, err := k.Release(t.Context(), h); !errors.Is(err, ErrSilent) {
			t.Errorf("%s: thaw: %v", release, err)
		}
		if holds, _ := Holds(k.Root); len(holds) != 1 {
			t.Errorf("%s: the hold is forgotten", release)
		}
	}
	// Up to 4.7 Xen with tmem_dedup says 0 and leaves compression as it is.
	for _, way := range []string{"hypercall", "xl"} {
		f := newFake(t, "4.7.6", way)
		f.xen.Dedup = true
		s := f.look(t, nil)
		if _, err := f.Apply(t.Context(), s.Set(s.Domains[:1], change(t, "compress=on"), "")); !errors.Is(err, ErrSilent) {
			t.Errorf("%s: dedup: %v", way, err)
		}
		f.xen.CommandLine = "tmem tmem_dedup"
		s = f.look(t, nil)
		if p := s.Set(s.Domains[:1], change(t, "compress=on"), ""); len(p.Calls) > 0 || p.Notes[0].Check != "compress-refused" {
			t.Errorf("%+v", p)
		}
	}
}

// What old xl's exit status hides is a failure, what was set before it is undone,
// and a domain that went away is none.
func TestApplyUndoes(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		s := f.look(t, nil)
		plan := s.Set(s.Domains, change(t, "weight=11"), "")
		f.xen.Listing.Clients = f.xen.Listing.Clients[:2]
		r, err := f.Apply(t.Context(), plan)
		if err != nil || len(r.Done) != 2 || len(r.Gone) != 1 || r.Gone[0].Domain.ID != 3 {
			t.Errorf("a domain went: %+v, %v", r, err)
		}
		if _, err := f.Control.Settings(t.Context(), 3); !errors.Is(err, cause.ErrNoData) {
			t.Errorf("%v", err)
		}
		s = f.look(t, nil)
		plan = s.Set(s.Domains, change(t, "weight=12"), "")
		h := f.Host
		h.Control = &refusing{Control: f.Control, after: 1}
		r, err = h.Apply(t.Context(), plan)
		if !errors.Is(err, errRefused) || !errors.Is(err, cause.ErrNotRestored) || len(r.Done) != 1 || r.Done[0].Domain.ID != 1 {
			t.Errorf("nothing goes any more: %+v, %v", r, err)
		}
		if _, err := f.Apply(t.Context(), f.look(t, nil).Set(f.look(t, nil).Domains, change(t, "weight=11"), "")); err != nil {
			t.Fatal(err)
		}
		h.Control = &refusing{Control: f.Control, after: 1, times: 1}
		s = f.look(t, nil)
		r, err = h.Apply(t.Context(), s.Set(s.Domains, change(t, "weight=12"), ""))
		if !errors.Is(err, errRefused) || errors.Is(err, cause.ErrNotRestored) || len(r.Done) > 0 {
			t.Errorf("the second failed: %+v, %v", r, err)
		}
		for _, d := range f.look(t, nil).Domains {
			if d.Weight != 11 {
				t.Errorf("%s has weight %d", d.Ref, d.Weight)
			}
		}
	})
}

// refusing fails to set weights after some calls, so many times; 0 is for good.
type refusing struct {
	Control
	after, times, failed int
}

var errRefused = errors.New("refused")

func (r *refusing) SetWeight(ctx context.Context, id units.DomID, w uint32) error {
	if r.after--; r.after < 0 && (r.times == 0 || r.failed < r.times) {
		r.failed++
		return errRefused
	}
	return r.Control.SetWeight(ctx, id, w)
}

// A domain in migration is left alone: where Xen tells, and where only the
// freeze shows it.
func TestMigrationIsLeftAlone(t *testing.T) {
	everyClass(t, func(t *testing.T, f *fake) {
		t.Helper()
		tells := f.Way == "hypercall" && f.xen.Version.AtLeast(4, 8)
		f.xen.Listing.Clients[0].Frozen = opt.Of[int64](1)
		f.xen.Migrating = map[units.DomID]bool{1: true}
		k := f.keeper(t)
		s := f.look(t, k)
		d := s.Domains[0]
		if p := s.Set(s.Domains[:1], change(t, "weight=3"), ""); len(p.Calls) > 0 || len(p.Notes) != 1 || p.Notes[0].Check != "left-alone" {
			t.Errorf("set: %+v", p)
		}
		if _, _, err := k.Freeze(t.Context(), d, start.Add(time.Minute), false); !errors.As(err, new(*BusyError)) {
			t.Errorf("freeze: %v", err)
		}
		if _, err := k.Thaw(t.Context(), d); !errors.As(err, new(*BusyError)) {
			t.Errorf("thaw: %v", err)
		}
		// Frozen by an operator: where Xen tells, it can be thawed.
		f.xen.Migrating = nil
		d = f.look(t, k).Domains[0]
		if _, err := k.Thaw(t.Context(), d); errors.As(err, new(*BusyError)) == tells {
			t.Errorf("an operator's freeze: %v", err)
		}
		// Saved to a file: no flag, and suspended.
		f.xen.Listing.Clients[1].Frozen = opt.Of[int64](1)
		f.xen.Domains[2].Flags = 1 << 2
		if why, busy := f.look(t, k).Domains[1].Busy(); !busy || why == "" {
			t.Errorf("saved: %q", why)
		}
		// It began after we froze it: it stays on record for later.
		if !tells {
			return
		}
		h, _, err := k.Freeze(t.Context(), f.look(t, k).Domains[2], start.Add(time.Minute), false)
		if err != nil {
			t.Fatal(err)
		}
		f.xen.Migrating = map[units.DomID]bool{3: true}
		if _, err := k.Release(t.Context(), h); !errors.As(err, new(*BusyError)) {
			t.Errorf("release: %v", err)
		}
		f.xen.Migrating = nil
		k.Now = func() time.Time { return start.Add(time.Hour) }
		holds, _ := Holds(k.Root)
		ended := k.Honour(t.Context(), holds, f.look(t, k).Domains)
		if len(ended) != 1 || ended[0].How != Thawed || ended[0].Err != nil {
			t.Errorf("%+v", ended)
		}
	})
}

func TestHonour(t *testing.T) {
	f := newFake(t, "4.12.4", "hypercall")
	k := f.keeper(t)
	freeze := func(i int, keep bool) {
		t.Helper()
		if _, _, err := k.Freeze(t.Context(), f.look(t, k).Domains[i], start.Add(5*time.Minute), keep); err != nil {
			t.Fatal(err)
		}
	}
	honour := func() string {
		t.Helper()
		holds, err := Holds(k.Root)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, e := range k.Honour(t.Context(), holds, f.look(t, k).Domains) {
			out += fmt.Sprintf("%s %s (%s) %v;", e.Hold.Domain.Name, e.How, e.Why, e.Err)
		}
		return out
	}
	frozen := func() (out []string) {
		for _, d := range f.look(t, k).Domains {
			if d.Frozen {
				out = append(out, d.Name)
			}
		}
		return out
	}
	freeze(0, false)
	freeze(1, true)
	if got := honour(); got != "" {
		t.Errorf("before the deadline: %s", got)
	}
	// The process is gone: what it held in the foreground ends, what it kept stays.
	k.Alive = func(Process) bool { return false }
	if got := honour(); got != "web1 thawed (process 4242, which froze it, has ended) <nil>;" {
		t.Errorf("the process died: %s", got)
	}
	k.Now = func() time.Time { return start.Add(5 * time.Minute) }
	if got := honour(); got != "db1 thawed (its deadline, 13:40:22 UTC, has passed) <nil>;" {
		t.Errorf("the deadline: %s", got)
	}
	if got := frozen(); len(got) > 0 {
		t.Errorf("frozen: %q", got)
	}
	// Another domain under the number, and another boot of the host: not touched.
	k.Now = func() time.Time { return start }
	freeze(2, true)
	f.xen.Domains[3].UUID = "ffffffff-0000-0000-0000-000000000003"
	k.Now = func() time.Time { return start.Add(time.Hour) }
	if got := honour(); !strings.HasPrefix(got, "cache1 is no client of tmem any more") || !slices.Equal(frozen(), []string{"cache1"}) {
		t.Errorf("%s, frozen %q", got, frozen())
	}
	if how, err := k.Thaw(t.Context(), f.look(t, k).Domains[2]); how != Thawed || err != nil {
		t.Error(how, err)
	}
	k.Now = func() time.Time { return start }
	freeze(0, true)
	k.Boot = "another"
	if got := honour(); !strings.Contains(got, "the host was restarted since") || !slices.Equal(frozen(), []string{"web1"}) {
		t.Errorf("%s, frozen %q", got, frozen())
	}
}

func TestNamed(t *testing.T) {
	f := newFake(t, "4.12.4", "hypercall")
	f.xen.Domains = append(f.xen.Domains, hypercalltest.Domain{ID: 9, UUID: uuid(9)})
	s := f.look(t, nil)
	for word, want := range map[string]string{
		"web1": "web1", "3": "cache1", uuid(2): "db1", strings.ToUpper(uuid(2)): "db1",
	} {
		if d, err := s.Named([]string{word}); err != nil || d[0].Name != want {
			t.Errorf("%s: %+v, %v", word, d, err)
		}
	}
	if d, err := s.Named([]string{"web1", "1"}); len(d) != 1 || err != nil {
		t.Errorf("one domain twice: %+v, %v", d, err)
	}
	for word, exists := range map[string]bool{"nobody": false, "9": true} {
		_, err := s.Named([]string{word})
		if e, ok := errors.AsType[*UnknownError](err); !ok || e.Exists != exists {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestParseChange(t *testing.T) {
	for _, bad := range []string{"", "weight", "weight=", "weight=abc", "weight=-5", "weight=2147483648", "weight=1.5", "compress=2", "compress=", "cap=100", "size=1", "Weight=1"} {
		if c, err := ParseChange([]string{bad}); err == nil {
			t.Errorf("%q: %+v", bad, c)
		}
	}
	if _, err := ParseChange(nil); err == nil {
		t.Error("nothing to set")
	}
	c := change(t, "weight=2147483647", "compress=off")
	if c.Weight != opt.Of[uint32](MaxWeight) || c.Compress != opt.Of(false) {
		t.Errorf("%+v", c)
	}
}

// A weight that is set is explained, and a sum that Xen cannot hold is named.
func TestWeightNotes(t *testing.T) {
	f := newFake(t, "4.12.4", "hypercall")
	s := f.look(t, nil)
	for words, want := range map[string]string{
		"weight=1": "weights-work-backwards", "weight=2147483647": "weights-overflow", "compress=on": "", "weight=0": "",
	} {
		p := s.Set(s.Domains, change(t, words), "")
		got := ""
		for _, n := range p.Notes {
			got += n.Check
		}
		if got != want {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}

func FuzzParseHold(f *testing.F) {
	f.Add([]byte(`{"schema":1,"domain":{"domid":3,"uuid":"1d9f7584-e679-11f1-971d-5fe415631a83","name":"web1"},"process":{"pid":4242,"began":912345},"boot":"b","began":"2026-11-22T13:35:22Z","deadline":"2026-11-22T13:40:22Z"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHold(b); err == nil && (h.Schema != holdSchema || h.Deadline.IsZero()) {
			t.Errorf("%+v", h)
		}
	})
}

func TestParseStart(t *testing.T) {
	for stat, want := range map[string]uint64{
		"4242 (xtm) S 4100 4242 4100 34816 4242 4194304 1410 0 0 0 5 2 0 0 20 0 8 0 912345 1275863040 3": 912345,
		"7 (a ) b (c) R 1 7 7 0 -1 4194304 1 0 0 0 5 2 0 0 20 0 1 0 99 1 1":                              99,
		"": 0, "1 (x": 0, "1 (x) S": 0, "1 (x) S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 x 21": 0,
	} {
		if got := parseStart(stat); got != want {
			t.Errorf("%q: %d", stat, got)
		}
	}
}
