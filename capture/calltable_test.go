package capture

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTablesOfCallsAndKeysAreChecked(t *testing.T) {
	const call = "001-a\t35\t0\t136:0600\t20480:a5\t16\t0\t2026-01-01T00:00:00Z\t1s\t\t\n"
	if _, err := parseCalls([]byte(callHeader + "\n" + call)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ was, is, want string }{
		{call, call + call, "stands twice"},
		{"001-a", "../a", "plain name"},
		{"\t35\t", "\t-1\t", "hypercall"},
		{"\t0\t136", "\tx\t136", "sub-command"},
		{"136:0600", "136:06", ""},
		{"136:0600", "136", "shortest form"},
		{"136:0600", "136:", "shortest form"},
		{"136:0600", "0:", ""},
		{"136:0600", "0:06", "shortest form"},
		{"136:0600", "1:0600", "shortest form"},
		{"136:0600", "136:060000", "shortest form"},
		{"136:0600", "0136:0600", "shortest form"},
		{"136:0600", "136:060", "odd length"},
		{"136:0600", "136:06AB", "shortest form"},
		{"136:0600", "-1:0600", "more than"},
		{"136:0600", "8388608:00", ""},
		{"136:0600", "8388609:00", "more than 8388608 bytes"},
		{"136:0600", "99999999999999999999:00", "out of range"},
		{"20480:a5", "", "buffer"},
		{"20480:a5", "-", ""},
		{"\t16\t", "\t1.6\t", "place of the address"},
		{"\t0\t2026", "\tx\t2026", "value"},
		{"2026", "26", "begin"},
		{"1s", "1", "took"},
		{"\t\t\n", "\tabsent\tno JSON\n", "text"},
		{"\t\t\n", "\n", "9 fields"},
	} {
		_, err := parseCalls([]byte(callHeader + "\n" + strings.Replace(call, c.was, c.is, 1)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want %q", c.is, c.was, err, c.want)
		}
	}
	for row, want := range map[string]string{
		`"/a"	ok	"b"` + "\n" + `"/a"	ok	"b"`: "twice",
		`/a	ok	"b"`:                          "not a quoted text",
		`"/a"	ok	b`:                          "not a quoted text",
		"\"/a\"\tok\t`b`":                    "not a quoted text",
		`"/a"	ok	"b`:                         "not a quoted text",
		`"/a"	ENOENT	read`:                   "text",
		`"/a"	ok`:                            "2 fields",
		`"/a"	timeout	"late"`:                "",
	} {
		_, err := parseStore([]byte(storeHeader + "\n" + row + "\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", row, err, want)
		}
	}
}

// What the tables say must be what is there.
func TestLostCallsAreNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(e entries)
		want   string
	}{
		"a line of calls": {func(e entries) {
			lines := bytes.SplitAfter(e["call.tsv"], []byte("\n"))
			e["call.tsv"] = bytes.Join(append(lines[:1:1], lines[2:]...), nil)
		}, "2 hypercalls"},
		"a line of keys": {func(e entries) {
			e["xenstore.tsv"] = e["xenstore.tsv"][:bytes.LastIndexByte(e["xenstore.tsv"][:len(e["xenstore.tsv"])-1], '\n')+1]
		}, "4 keys"},
		"a buffer's end":    {func(e entries) { e["call/002-sysctl-6.data"] = e["call/002-sysctl-6.data"][1:] }, "8999 bytes, and its request had 9000"},
		"a buffer too many": {func(e entries) { e["call/003-sysctl-7.struct"] = nil }, "call/003-sysctl-7.struct is in no table"},
		"their number": {func(e entries) {
			e["meta.json"] = bytes.Replace(e["meta.json"], []byte(`"calls": 3`), []byte(`"calls": -3`), 1)
		}, "meta.json says -3"},
	} {
		e, err := small().encode()
		if err != nil {
			t.Fatal(err)
		}
		c.change(e)
		if _, err := decode(maps.Clone(e)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A buffer's text has its length and its bytes, and no two buffers share one.
func TestBufferForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.SampledFrom([]byte{0, 0, 0, 1, 0xa5})).Draw(t, "bytes")
		form := bufferOf(b)
		size, head, err := form.parse()
		if err != nil {
			t.Fatal(err)
		}
		for len(head) < size {
			head = append(head, head[len(head)-1])
		}
		if !slices.Equal(head, b) {
			t.Fatalf("%x became %q and then %x", b, form, head)
		}
	})
	if bufferOf(nil) != noBuffer || bufferOf([]byte{}) == noBuffer {
		t.Error("no buffer and an empty one are the same")
	}
}

func FuzzParseCalls(f *testing.F) {
	e, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e["call.tsv"])
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := parseCalls(b)
		if err != nil {
			return
		}
		again, err := parseCalls(formatCalls(rows))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].stem != again[i].stem || Diff(&Capture{calls: []called{rows[i].called}}, &Capture{calls: []called{again[i].called}}) != "" {
				t.Fatalf("%+v was read again as %+v", rows[i], again[i])
			}
		}
	})
}

func FuzzParseStore(f *testing.F) {
	e, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e["xenstore.tsv"])
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseStore(b)
		if err != nil {
			return
		}
		again, err := parseStore(formatStore(keys))
		if err != nil {
			t.Fatal(err)
		}
		if diff := Diff(&Capture{keys: keys}, &Capture{keys: again}); diff != "" {
			t.Fatal(diff)
		}
	})
}
