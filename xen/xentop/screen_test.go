package xentop_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/xen"
	"xtm/xen/xentop"
)

func tmemLine(position int, eph, ephGets, persPuts, persGets int64) xen.TmemClient {
	return xen.TmemClient{
		Position: opt.Of(position), Ephemeral: xen.Peak{Now: opt.Of(eph)}, EphemeralGets: opt.Of(ephGets),
		PersistentPuts: opt.Of(persPuts), PersistentGets: opt.Of(persGets),
	}
}

// seedScreen is what the screen of Xen 4.3.0 holds.
var seedScreen = xentop.Screen{
	Time: "17:04:20",
	Host: xen.Host{
		Version: xen.Version{Major: 4, Minor: 3, Extra: ".0"}, CPUs: opt.Of(4), MHz: opt.Of(2500.0),
		Total: opt.Of[units.KiB](16651980), Free: opt.Of[units.KiB](4138812), Freeable: opt.Of[units.KiB](38912), Granularity: opt.Of[units.KiB](1),
	},
	Domains: []xen.Domain{
		domain("(redacted)", blocked, 12324, 1191920, 2098176, 1),
		domain("(redacted)", blocked, 1476, 226068, 2098176, 1),
		domain("Domain-0", running, 27858, 10397272, 10485760, 2),
		domain("(redacted)", blocked, 172, 225820, 2098176, 2),
		domain("(redacted)", blocked, 59, 207624, 1741824, 2),
	},
	Clients: []xen.TmemClient{
		tmemLine(0, 0, 0, 463995, 463807), tmemLine(1, 0, 0, 119478, 119364), tmemLine(3, 75, 75, 2359, 2359), tmemLine(4, 0, 0, 623, 623),
	},
}

func TestParseScreen(t *testing.T) {
	got, err := xentop.ParseScreen(testdata(t, "screen-4.3.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(seedScreen, got, equal); diff != "" {
		t.Error(diff)
	}
}

// Screens of Xen 4.12.4, 160 columns wide: SSID is broken off each row.
func TestParseScreenBroken(t *testing.T) {
	got, err := xentop.ParseScreen(testdata(t, "screen-4.12-160-columns.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := xentop.Screen{
		Time: "13:36:26",
		Host: xen.Host{
			Version: xen.Version{Major: 4, Minor: 12, Extra: ".4"}, CPUs: opt.Of(2), MHz: opt.Of(2600.0),
			Total: opt.Of[units.KiB](2751828), Free: opt.Of[units.KiB](21060), Freeable: opt.Of[units.KiB](664576), Granularity: opt.Of[units.KiB](1),
		},
		Domains: []xen.Domain{
			domain("cache1", none, 87, 77864, 197632, 1),
			domain("db1", running, 90, 322568, 410624, 1),
			domain("Domain-0", running, 164, 1042660, 1048576, 2),
			domain("idle1", blocked, 15, 77864, 197632, 1),
			domain("plain1", none, 14, 131072, 132096, 1),
			domain("web1", blocked, 103, 376588, 525312, 2),
		},
		Clients: []xen.TmemClient{tmemLine(0, 103167, 1078930, 0, 0), tmemLine(1, 0, 0, 196915, 182410), tmemLine(5, 57669, 191211, 38824, 37481)},
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Error(diff)
	}
	got, err = xentop.ParseScreen(testdata(t, "screen-4.12-notmem.txt"))
	if err != nil || got.Host.Freeable.Has() || len(got.Clients) != 0 || len(got.Domains) != 6 || got.Host.MHz.Or(0) != 2599 {
		t.Errorf("without tmem: %+v, %v", got, err)
	}
}

// broken is how a terminal of this many columns shows a text.
func broken(text string, columns int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		for len(line) > columns {
			out.WriteString(strings.TrimRight(line[:columns], " ") + "\n")
			line = line[columns:]
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// However wide the terminal was, the figures are the same, or the screen is
// refused: they are never others.
func TestParseScreenWidths(t *testing.T) {
	text := string(testdata(t, "screen-4.3.txt"))
	accepted := 0
	for columns := 40; columns < 170; columns++ {
		got, err := xentop.ParseScreen([]byte(broken(text, columns)))
		if err != nil {
			if columns >= 80 {
				t.Errorf("%d columns: %v", columns, err)
			}
			continue
		}
		accepted++
		// What comes last in its line may be cut: that is absent then.
		want := seedScreen
		want.Domains = nil
		for i, d := range seedScreen.Domains {
			if !got.Domains[i].VCPUs.Has() {
				d.VCPUs = opt.Value[int]{}
			}
			want.Domains = append(want.Domains, d)
		}
		if !got.Host.CPUs.Has() {
			want.Host.CPUs, want.Host.MHz = opt.Value[int]{}, opt.Value[float64]{}
		}
		if diff := cmp.Diff(want, got, equal); diff != "" {
			t.Fatalf("%d columns: %s", columns, diff)
		}
	}
	if accepted < 90 {
		t.Errorf("only %d widths were accepted", accepted)
	}
}

func TestParseScreenAround(t *testing.T) {
	text := string(testdata(t, "screen-4.3.txt"))
	old := strings.NewReplacer("17:04:20", "17:04:17", "463995", "463990").Replace(text)
	nbsp := strings.ReplaceAll(text, "   ", " \u00a0 ")
	for name, in := range map[string]string{
		"prompt":           "root@host:~# xentop\n" + text + "root@host:~# exit\n",
		"last of two":      old + "\n" + text,
		"no-break spaces":  nbsp,
		"indent":           "    " + strings.ReplaceAll(text, "\n", "\n    "),
		"carriage returns": strings.ReplaceAll(text, "\n", "\r\n"),
		"key line":         text + "  Delay  Networks  vBds  Tmem  VCPUs  Repeat header  Sort order  Quit\n",
	} {
		got, err := xentop.ParseScreen([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(seedScreen, got, equal); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// A screen that ends early shows fewer domains than it counts.
	lines := strings.SplitAfter(text, "\n")
	got, err := xentop.ParseScreen([]byte(strings.Join(lines[:8], "")))
	if err != nil || got.Hidden != 3 || len(got.Domains) != 2 || len(got.Clients) != 2 {
		t.Errorf("a short screen: %+v, %v", got, err)
	}
	// Empty names are names.
	got, err = xentop.ParseScreen([]byte(strings.ReplaceAll(text, "(redacted)", "          ")))
	if err != nil || len(got.Domains) != 5 || got.Domains[0].Name != "" || got.Domains[0].Current.Or(0) != 1191920 {
		t.Errorf("no names: %+v, %v", got, err)
	}
	// 4.13.0 prints the total as used.
	got, err = xentop.ParseScreen([]byte(strings.Replace(text, "12513168k used", "16651980k used", 1)))
	if err != nil || got.Host.Free.Or(0) != 4138812 {
		t.Errorf("4.13.0's used memory: %+v, %v", got.Host, err)
	}
}

func TestParseScreenRefuses(t *testing.T) {
	text := string(testdata(t, "screen-4.3.txt"))
	replace := func(old, by string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("the screen lacks %q", old)
		}
		return strings.Replace(text, old, by, 1)
	}
	for want, in := range map[string]string{
		`want a line that starts with "xentop - "`:                             "hello\n",
		"want a time and a Xen version":                                        replace("Xen 4.3.0", "Xen four"),
		"line 3: the sizes contradict each other":                              replace("12513168k used", "12513169k used"),
		"want total and free memory":                                           replace("4138812k free,", ""),
		"no memory line":                                                       replace("Mem: ", "Men: "),
		"no count of domains":                                                  replace("5 domains:", "five domains:"),
		"counts 4 domains and shows 5":                                         replace("5 domains:", "4 domains:"),
		"counts 2 running domains and shows 1":                                 replace("1 running", "2 running"),
		"no xentop table":                                                      text[:strings.Index(text, "      NAME")],
		"line 5: not a line of xentop's":                                       replace("1191920", "119192O"),
		"counts 5 domains and shows 4: line 9: not a line of xentop's":         replace("10397272", "1039727O"),
		"line 6: want the four figures of a Tmem line: ":                       replace("463807", "46380x"),
		"line 7: want the four figures of a Tmem line":                         replace("463807", "463807 1\n9"),
		"line 5: a Tmem line without a domain above it":                        replace("  (redacted) --b---      12324    3.7    1191920    7.2    2098176      12.6     1    1 1475615857 47146601    1        0   292522    47176   29285682    4827432    0\n", ""),
		"longer than 8192 bytes":                                               text + strings.Repeat("z", 9000),
		"line 7: a Tmem line without a domain above it: \"Tmem:  Curr eph pag": replace("\n  (redacted) --b---       1476", "\nTmem:  Curr eph pages: 1 Succ eph gets: 1 Succ pers puts: 1 Succ pers gets: 1\n  (redacted) --b---       1476"),
	} {
		got, err := xentop.ParseScreen([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v, %+v", want, err, got)
		}
	}
	if _, err := xentop.ParseScreen(testdata(t, "recording-4.12.txt")); !errors.Is(err, xentop.ErrRecording) {
		t.Errorf("a recording: %v", err)
	}
}

func FuzzScreen(f *testing.F) {
	for _, name := range []string{"screen-4.3.txt", "screen-4.12-160-columns.txt", "screen-4.12-notmem.txt", "recording-4.12.txt", "batch-4.12-i2.txt"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte(broken(string(testdata(f, "screen-4.3.txt")), 80)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := xentop.ParseScreen(b)
		if err != nil {
			return
		}
		if !s.Host.Total.Has() || !s.Host.Free.Has() || s.Hidden < 0 || len(s.Clients) > len(s.Domains) {
			t.Errorf("%+v", s)
		}
		for _, c := range s.Clients {
			if p, ok := c.Position.Get(); !ok || p < 0 || p >= len(s.Domains) {
				t.Errorf("client of no domain: %+v", c)
			}
		}
	})
}

// Ten megabytes of nothing are refused without keeping them.
func TestGarbage(t *testing.T) {
	text := testdata(t, "screen-4.3.txt")
	for name, filler := range map[string]string{
		"lines": "x\n", "one line": "x", "numbers": "1 2 3 4 5 6\n", "rows": "a --b--- 1 0.0 1 0.0 1 0.0 1 1\n",
		"headers": header, "Tmem": "Tmem:\n", "titles": "xentop - ",
	} {
		garbage := []byte(strings.Repeat(filler, 10<<20/len(filler)))
		for i, in := range [][]byte{garbage, append([]byte(header), garbage...), append(append([]byte{}, text...), garbage...)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, errScreen := xentop.ParseScreen(in)
			_, errBatch := xentop.ParseBatch(in)
			runtime.ReadMemStats(&after)
			if i < 2 && (errScreen == nil || errBatch == nil) {
				t.Errorf("%s: screen %v, batch %v", name, errScreen, errBatch)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 120 {
				t.Errorf("%s: %d MiB for 10 MiB", name, used)
			}
		}
	}
}
