package kconfig

import (
	"bytes"
	"compress/gzip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// read is a .config of testdata.
func read(tb testing.TB, name string) *Config {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return config(tb, string(b))
}

func config(tb testing.TB, text string) *Config {
	tb.Helper()
	c, err := ReadConfig([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestSetKeepsEveryOtherByte(t *testing.T) {
	const before = "# head\r\n\nCONFIG_A=y  \n# CONFIG_B is not set\nCONFIG_A=m\nCONFIG_S=\"a \\\"b\\\" #\"\nCONFIG_LAST=0x10"
	c := config(t, before)
	if got := string(c.Bytes()); got != before {
		t.Fatalf("untouched: %q", got)
	}
	if s := c.Text("S"); s != `a "b" #` {
		t.Errorf("string is %q", s)
	}
	if v, ok := c.Get("A"); v != "m" || !ok {
		t.Errorf("the last line of A counts, got %q", v)
	}
	for _, set := range [][2]string{{"B", "n"}, {"LAST", "0x10"}, {"A", "n"}, {"NEW", `"x"`}, {"B", "y"}} {
		if err := c.Set(set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	const after = "# head\r\n\nCONFIG_B=y\n# CONFIG_A is not set\nCONFIG_S=\"a \\\"b\\\" #\"\nCONFIG_LAST=0x10\nCONFIG_NEW=\"x\"\n"
	if diff := cmp.Diff(after, string(c.Bytes())); diff != "" {
		t.Error(diff)
	}
	if c.Line("NEW") != 7 || c.Line("ABSENT") != 0 {
		t.Errorf("lines %d, %d", c.Line("NEW"), c.Line("ABSENT"))
	}
}

func TestBadLines(t *testing.T) {
	for text, want := range map[string]string{
		"CONFIG_A=y\nCONFIG_B\n":     `line 2: not a setting: "CONFIG_B"`,
		"CONFIG_A=\"x\n":             "line 1: not a setting: the string \"x does not end",
		"CONFIG_A=yes please\n":      `line 1: not a setting: the value "yes please"`,
		"XEN_TMEM=m\n":               `line 1: not a setting: "XEN_TMEM=m"`,
		"\n\nCONFIG_A-B=y\n":         `line 3: not a setting: "CONFIG_A-B=y"`,
		"CONFIG_A=\n":                `line 1: not a setting: the value ""`,
		"\x1f\x8bnothing compressed": "gzip: invalid header",
	} {
		if _, err := ReadConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := config(t, "").Set("A", "y\nCONFIG_B=y"); err == nil {
		t.Error("a value with a line end was taken")
	}
}

func TestGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte("CONFIG_XEN=y\n"))
	z.Close()
	if c := config(t, b.String()); c.Text("XEN") != "y" {
		t.Error("not read")
	}
	b.Reset()
	z.Reset(&b)
	z.Write(bytes.Repeat([]byte("#\n"), maxConfig/2+1))
	z.Close()
	if _, err := ReadConfig(b.Bytes()); err == nil {
		t.Errorf("%d bytes that unpack to %d were read", b.Len(), maxConfig+2)
	}
}

func TestMergeAndDiff(t *testing.T) {
	base := config(t, "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n")
	merged := base.Clone()
	changes, err := merged.Merge(config(t, "CONFIG_D=y\nCONFIG_A=m\n# CONFIG_B is not set\nCONFIG_A=y\n# CONFIG_C is not set\n# CONFIG_E is not set\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{{"D", "", "y"}, {"B", "m", "n"}, {"E", "", "n"}}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Change{{"B", "m", "n"}, {"D", "", "y"}}, Diff(base, merged)); diff != "" {
		t.Error(diff)
	}
}

func TestEnabledCounts(t *testing.T) {
	if y, m := read(t, "config-4.19.0-6-amd64").Enabled(); y != 14 || m != 4 {
		t.Errorf("%d y, %d m", y, m)
	}
}

// TestSetReadsBack holds for any sequence of settings: what was set last is
// there, once, and a second time changes no byte.
func TestSetReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SampledFrom([]string{"y", "m", "n", "42", "0xff", `""`, `"a \"b\" c"`})
		names := rapid.SampledFrom([]string{"A", "B", "C_2", "64BIT"})
		c, err := ReadConfig([]byte("CONFIG_B=y\n# CONFIG_A is not set\n#\nCONFIG_B=m\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"B": "m", "A": "n"}
		for range rapid.IntRange(1, 12).Draw(t, "count") {
			name, value := names.Draw(t, "name"), values.Draw(t, "value")
			if err := c.Set(name, value); err != nil {
				t.Fatal(err)
			}
			once := c.Bytes()
			if err := c.Set(name, value); err != nil || !bytes.Equal(once, c.Bytes()) {
				t.Fatalf("a second time: %q, %v", c.Bytes(), err)
			}
			want[name] = value
		}
		again, err := ReadConfig(c.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if got, _ := again.Get(name); got != value {
				t.Errorf("%s is %q, not %q, in %q", name, got, value, c.Bytes())
			}
		}
	})
}

func FuzzDotConfig(f *testing.F) {
	for _, name := range []string{"config-4.19.0-6-amd64", "config-6.1.0-56-amd64"} {
		f.Add(read(f, name).Bytes())
	}
	f.Add([]byte("CONFIG_A=\"\\\"\nCONFIG_A=y\r\n# CONFIG_A is not set"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadConfig(b)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) && !bytes.Equal(c.Bytes(), b) {
			t.Fatalf("%q was changed to %q", b, c.Bytes())
		}
		names := c.Names()
		for _, n := range names {
			v, _ := c.Get(n)
			if err := c.Set(n, v); err != nil {
				t.Fatalf("%s=%s was read and cannot be set: %v", n, v, err)
			}
		}
		again, err := ReadConfig(c.Bytes())
		if err != nil || !slices.Equal(names, again.Names()) || len(Diff(c, again)) > 0 {
			t.Fatalf("%q: %v", c.Bytes(), err)
		}
	})
}
