package xlconfig

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeysAndValues(t *testing.T) {
	for in, want := range map[string][]string{
		`[{"domid": 1, "c": {"name": "a\"b", "e": []}, "l": ["x", {"y": "z"}, "w"], "": "v"}]`: {"c/name=a\"b", "l=x", "l/y=z", "l=w", "=v"},
		`{"a": "1"} {"b": "2"}`: {"a=1", "b=2"},
		`"top"`:                 nil, // not a listing
		`["\u00fc", "cut \"`:    {"=ü", `=cut \"`},
		"(domain\n\t(domid 1)\n\t(name a) b)\n\t\t(pci\n\t\t\t(pci dev 0000:03:00.0@00)\n\t(xsdata (null))\n)\n": {
			"domid=1", "name=a) b", "pci=dev 0000:03:00.0@00", "xsdata=(null)",
		},
	} {
		var got []string
		out, ok := Rewrite([]byte(in), func(keys []string, value string) string {
			got = append(got, strings.Join(keys, "/")+"="+value)
			return value
		})
		if diff := cmp.Diff(want, got); diff != "" || ok != (want != nil) {
			t.Errorf("%s (-want +got), %v:\n%s", in, ok, diff)
		}
		if string(out) != in {
			t.Errorf("%s became %s though nothing was changed", in, out)
		}
	}
}

// Every string of a real listing is replaced, and no byte between them.
func TestRewriteChangesOnlyStrings(t *testing.T) {
	in, err := os.ReadFile("../importtest/testdata/xen-4.12/t1-load/xl-list-l.txt")
	if err != nil {
		t.Fatal(err)
	}
	upper := func(_ []string, s string) string { return strings.ToUpper(s) }
	out, ok := Rewrite(in, upper)
	if !ok || !json.Valid(out) || !bytes.EqualFold(in, out) || bytes.Equal(in, out) {
		t.Errorf("%v %s", ok, out)
	}
	if !bytes.Contains(out, []byte(`"name": "WEB1"`)) {
		t.Error("a value stayed, or a key was changed")
	}
}

func FuzzRewrite(f *testing.F) {
	for _, name := range []string{"xen-4.12/t1-load", "xen-4.17/modern"} {
		b, err := os.ReadFile("../importtest/testdata/" + name + "/xl-list-l.txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("(domain\n\t(domid 1)\n\t(name web1)\n\t(xsdata (null))\n)\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		same, ok := Rewrite(b, func(_ []string, s string) string { return s })
		if !bytes.Equal(same, b) {
			t.Fatalf("%q became %q though nothing was changed", b, same)
		}
		changed, _ := Rewrite(b, func([]string, string) string { return `a"\` + "\n" })
		if ok && json.Valid(b) && !json.Valid(changed) {
			t.Fatalf("%q became %q, which is not JSON", b, changed)
		}
	})
}
