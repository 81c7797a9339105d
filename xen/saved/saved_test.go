package saved_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/cause"
	"xtm/xen"
	"xtm/xen/saved"
	"xtm/xen/xentop"
)

var update = flag.Bool("update", false, "write the golden snapshots anew")

func testdata(tb testing.TB, parts ...string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, parts...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestOpen(t *testing.T) {
	for name, kind := range map[string]saved.Kind{
		"screen-4.3": saved.Screen, "screen-4.12-notmem": saved.Screen,
		"listing-4.12-long": saved.Listing, "listing-4.12-short": saved.Listing, "listing-4.12-off": saved.Listing,
		"terminal-4.12": saved.Listing, // xl list stands before the listing
	} {
		t.Run(name, func(t *testing.T) {
			text := testdata(t, name+".txt")
			if got, err := saved.Detect(text); got != kind || err != nil {
				t.Errorf("Detect = %q, %v", got, err)
			}
			src, err := saved.Open(name+".txt", text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Snapshot(t.Context())
			if err != nil || got.Source != string(kind) || got.Recorded != name+".txt" || !got.Begin.IsZero() {
				t.Errorf("%v, %+v", err, got)
			}
			b, err := json.MarshalIndent(got, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(testdata(t, "golden", name+".json")), string(b)+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func open(t *testing.T, name string, text []byte) xen.Snapshot {
	t.Helper()
	src, err := saved.Open(name, text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := src.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The figures that the issue asks for, of the host that was published.
func TestSeedScreen(t *testing.T) {
	s := open(t, "screen", testdata(t, "screen-4.3.txt"))
	guests := 0
	for _, d := range s.Domains {
		if !d.IsDom0() {
			guests++
		}
		if d.ID.Has() || d.UUID != "" {
			t.Errorf("a screen shows neither number nor UUID: %+v", d)
		}
	}
	if len(s.Domains) != 5 || guests != 4 || s.Host.Total.Or(0) != 16651980 || s.Host.Free.Or(0) != 4138812 || s.Host.Freeable.Or(0) != 38912 {
		t.Errorf("%d domains, %d guests, host %+v", len(s.Domains), guests, s.Host)
	}
	if d := s.Domains[1]; d.Limit.Or(0)-d.Current.Or(0) != 1872108 {
		t.Errorf("the second guest gave up %d KiB", d.Limit.Or(0)-d.Current.Or(0))
	}
	l, _ := s.Tmem.Get()
	puts, gets := [4]int64{463995, 119478, 2359, 623}, [4]int64{463807, 119364, 2359, 623}
	if !l.TotalsOnly || l.Host.Has() || len(l.Clients) != 4 {
		t.Fatalf("%+v", l)
	}
	for i, c := range l.Clients {
		if c.PersistentPuts.Or(0) != puts[i] || c.PersistentGets.Or(0) != gets[i] || len(c.Pools) != 0 || c.Weight.Has() {
			t.Errorf("%+v", c)
		}
		if p, ok := c.Position.Get(); !ok || s.Domains[p].IsDom0() {
			t.Errorf("client %d is tied to position %d", i, p)
		}
	}
	if s.TmemState.Answer != xen.TmemOn {
		t.Errorf("%+v", s.TmemState)
	}
}

func TestShortScreen(t *testing.T) {
	lines := strings.SplitAfter(string(testdata(t, "screen-4.3.txt")), "\n")
	s := open(t, "screen", []byte(strings.Join(lines[:5], "")))
	if len(s.Domains) != 1 || len(s.Gaps) != 2 || s.Gaps[0].What != "4 of 5 domains" || s.Gaps[1].What != "tmem listing" {
		t.Errorf("%+v", s.Gaps)
	}
	if s.TmemState.Answer != xen.TmemOn || !strings.Contains(s.TmemState.Evidence, "38912 KiB freeable") {
		t.Errorf("%+v", s.TmemState)
	}
}

func TestModernScreen(t *testing.T) {
	text := strings.Replace(string(testdata(t, "screen-4.12-notmem.txt")), "Xen 4.12.4", "Xen 4.17.7", 1)
	s := open(t, "screen", []byte(text))
	if len(s.Gaps) != 1 || s.Gaps[0].Cause != cause.NotSupported || s.Gaps[0].Advice != "" || s.TmemState.Answer != xen.TmemRemoved {
		t.Errorf("%+v, %+v", s.Gaps, s.TmemState)
	}
}

func TestListingLine(t *testing.T) {
	text := "$ xl tmem-list -a\n\n" + string(testdata(t, "listing-4.12-short.txt"))
	if s := open(t, "listing", []byte(text)); len(s.Domains) != 5 {
		t.Errorf("%+v", s)
	}
	_, err := saved.Open("listing", []byte(strings.Replace(text, "C=CI:3,", "C=CI:x,", 1)))
	if err == nil || !strings.Contains(err.Error(), "line 12") {
		t.Errorf("the error does not count the lines before the listing: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for want, text := range map[string]string{
		"this is empty":                     " \n",
		"no kind of file that is known":     "hello\n",
		"the table of xentop -b":            "      NAME  STATE   CPU(sec) CPU(%)     MEM(k)\n",
		"the output of xl list":             "Name                                        ID   Mem VCPUs\tState\tTime(s)\n",
		"the output of xl info":             "host                   : a\nxen_version            : 4.12.4\n",
		"the output of xen-tmem-list-parse": "total tmem ops=1672975 (errors=81144) -- tmem pages avail=255\n",
		"an HTML page":                      "<!DOCTYPE html>\n<html>\n",
		"more than 4 MiB":                   strings.Repeat("G=Tt:1\n", 1<<20),
	} {
		_, err := saved.Open("FILE", []byte(text))
		if err == nil || !errors.Is(err, saved.ErrUnknown) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "open FILE: ") {
			t.Errorf("want %q: %v", want, err)
			continue
		}
		for _, accepted := range []string{"xtm capture", "xl tmem-list", "xentop"} {
			if !strings.Contains(err.Error(), accepted) {
				t.Errorf("%v: does not say that %s is accepted", err, accepted)
			}
		}
	}
	if _, err := saved.Open("FILE", testdata(t, "recording-4.12.txt")); !errors.Is(err, xentop.ErrRecording) {
		t.Errorf("a recording: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) < 7 {
		f.Fatal(names, err)
	}
	for _, n := range names {
		f.Add(testdata(f, filepath.Base(n)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, errKind := saved.Detect(b)
		src, err := saved.Open("FILE", b)
		if err != nil {
			return
		}
		s, _ := src.Snapshot(t.Context())
		if errKind != nil || s.Source != string(kind) || kind == saved.Listing && !s.Tmem.Has() {
			t.Errorf("%s, %v, %+v", kind, errKind, s)
		}
	})
}
