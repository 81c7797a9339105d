package guest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/guest"
	"xtm/guest/guesttest"
)

func rise(puts, gets uint64) guest.CleancacheCounters {
	return guest.CleancacheCounters{Puts: puts, SuccGets: gets}
}

func TestProve(t *testing.T) {
	for name, tt := range map[string]struct {
		rises   []guest.CleancacheCounters // one for each forgetting
		files   int
		want    guest.Outcome
		forgets int
	}{
		"a host with tmem (captures, Xen 4.12)":      {[]guest.CleancacheCounters{rise(256, 256)}, 3, guest.Proved, 1},
		"the same host without it":                   {[]guest.CleancacheCounters{rise(0, 0)}, 1, guest.NoPool, 1},
		"ext4 with 1 KiB blocks":                     {[]guest.CleancacheCounters{rise(256, 0)}, 1, guest.NoHits, 1},
		"every file without it":                      {[]guest.CleancacheCounters{rise(0, 0)}, 3, guest.NoPool, 3},
		"other work moves the counters too":          {[]guest.CleancacheCounters{rise(300, 257)}, 1, guest.Proved, 1},
		"some pages stuck, then not":                 {[]guest.CleancacheCounters{rise(242, 242), rise(256, 256)}, 1, guest.Proved, 2},
		"pages stuck each time":                      {[]guest.CleancacheCounters{rise(242, 242)}, 1, guest.Unclear, 3},
		"other work only, on a host without":         {[]guest.CleancacheCounters{rise(3, 0), rise(0, 0)}, 1, guest.NoPool, 2},
		"small blocks first, then a file that tells": {[]guest.CleancacheCounters{rise(256, 0), rise(256, 256)}, 2, guest.Proved, 2},
		"mapped file first, then small blocks":       {[]guest.CleancacheCounters{rise(0, 0), rise(256, 0)}, 2, guest.NoHits, 2},
		"no pool, then unclear":                      {[]guest.CleancacheCounters{rise(0, 0), rise(9, 9)}, 2, guest.Unclear, 4},
		"unclear, then no pool":                      {[]guest.CleancacheCounters{rise(9, 9), rise(9, 9), rise(9, 9), rise(0, 0)}, 2, guest.Unclear, 4},
	} {
		script := &guesttest.Script{Rises: tt.rises}
		p, err := guest.Prove(t.Context(), script, []string{"/boot/a", "/boot/b", "/boot/c"}[:tt.files])
		forgets := 0
		for _, l := range script.Log {
			if strings.HasPrefix(l, "forget") {
				forgets++
			}
		}
		if p.Outcome != tt.want || forgets != tt.forgets || err != nil || p.Why == "" {
			t.Errorf("%s: %+v after %d, %v; want %s after %d", name, p, forgets, err, tt.want, tt.forgets)
		}
	}
}

// The first reading only fills the page cache: hits of what an earlier proof left
// do not count.
func TestProveOrder(t *testing.T) {
	script := &guesttest.Script{Rises: []guest.CleancacheCounters{rise(256, 256)}}
	p, err := guest.Prove(t.Context(), script, []string{"/boot/vmlinuz"})
	if err != nil || !strings.HasPrefix(p.String(), "a pool stands") || p.File != "/boot/vmlinuz" || p.Puts != 256 || p.Gets != 256 {
		t.Errorf("%+v, %v", p, err)
	}
	want := []string{
		"read 1048576 /boot/vmlinuz", "counters", "forget 1048576 /boot/vmlinuz", "read 1048576 /boot/vmlinuz", "counters",
	}
	if diff := cmp.Diff(want, script.Log); diff != "" {
		t.Error(diff)
	}
}

func TestProveCouldNotTell(t *testing.T) {
	failure := errors.New("input/output error")
	for _, op := range []string{"counters", "read", "forget"} {
		p, err := guest.Prove(t.Context(), &guesttest.Script{Errs: map[string]error{op: failure}}, []string{"/boot/a"})
		if p.Outcome != guest.Unclear || !strings.Contains(p.Why, failure.Error()) || err != nil {
			t.Errorf("%s fails: %+v, %v", op, p, err)
		}
		if !strings.Contains(p.String(), "could not be told: ") {
			t.Errorf("%s fails: %v", op, p)
		}
	}
	p, err := guest.Prove(t.Context(), &guesttest.Script{}, nil)
	if p.Outcome != guest.Unclear || err != nil || p.Why == "" {
		t.Errorf("no file: %+v, %v", p, err)
	}
	p, err = guest.Prove(t.Context(), &guesttest.Script{}, []string{"/boot/a"})
	if err != nil || !strings.HasPrefix(p.String(), "no pool stands") {
		t.Errorf("no pool: %v, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guest.Prove(ctx, &guesttest.Script{}, []string{"/boot/a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Every pair of rises: a proof needs all pages out and back, and no pool needs
// silence.
func TestJudgeRises(t *testing.T) {
	for puts := range uint64(300) {
		for gets := range uint64(300) {
			got, _ := guest.JudgeRises(puts, gets)
			if (got == guest.Proved) != (puts >= 256 && gets >= 256) || (got == guest.NoPool) != (puts+gets == 0) ||
				(got == guest.NoHits) != (puts >= 256 && gets == 0) {
				t.Fatalf("puts %d, gets %d: %s", puts, gets, got)
			}
		}
	}
}
