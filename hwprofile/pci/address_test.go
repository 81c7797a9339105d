package pci

import (
	"encoding/json"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Address
	}{
		{"0000:05:03.0", Address{0, 5, 3, 0}},
		{"05:03.0", Address{0, 5, 3, 0}},
		{"0000-05-03-0", Address{0, 5, 3, 0}},
		{"0/0000:05:03.0", Address{0, 5, 3, 0}},
		{"05_03.0", Address{0, 5, 3, 0}},
		{"pci_0000_05_03_0", Address{0, 5, 3, 0}},
		{"0000:05:03:0", Address{0, 5, 3, 0}},
		{"10000:e0:06.7", Address{0x10000, 0xe0, 6, 7}},
		{"FFFF:FF:1F.7", Address{0xffff, 0xff, 0x1f, 7}},
	} {
		got, err := ParseAddress(c.in)
		if err != nil || got != c.want {
			t.Errorf("ParseAddress(%q) = %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{
		"", "05:03", "05:20.0", "05:03.8", "0000:05:03.*", "0000::05:03.0", ":05:03.0", "05:03.0.", "0000:100:03.0",
		"80000000:00:00.0", "0x0:05:03.0", "05 03.0", "1:2:3:4.5", "+5:03.0", "05:03.0\n",
	} {
		if got, err := ParseAddress(bad); err == nil {
			t.Errorf("ParseAddress(%q) = %v, want an error", bad, got)
		}
	}
}

func TestAddressOrder(t *testing.T) {
	up := []Address{{0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0x10000, 0, 0, 0}}
	for i := range up[1:] {
		if up[i].Compare(up[i+1]) != -1 || up[i+1].Compare(up[i]) != 1 || up[i].Compare(up[i]) != 0 {
			t.Errorf("%v does not come before %v", up[i], up[i+1])
		}
	}
}

func TestJSON(t *testing.T) {
	d := Device{Address: Address{0, 5, 3, 0}}
	d.ID = orElse(d.ID, identityOf(Config{0x4c, 0x10, 0x23, 0x80, 0, 0, 0, 0, 0, 0x10, 0, 0x0c}).ID)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"address":"0000:05:03.0","id":"104c:8023","capabilities":{"extent":""}}`; string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back Device
	if err := json.Unmarshal(b, &back); err != nil || back.Address != d.Address || back.ID != d.ID {
		t.Errorf("read back: %+v, %v", back, err)
	}
	for _, bad := range []string{`{"id":"104c8023"}`, `{"class":"06"}`, `{"address":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"0000:05:03.0", "05:03.0", "0/0000:05:03.0", "pci_0000_05_03_0", "10000:e0:06.7", "05_03.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if b, ok := parseCanonical(a.String()); !ok || b != a {
			t.Errorf("%q is read as %v, which is read as %v", s, a, b)
		}
	})
}
