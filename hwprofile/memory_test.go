package hwprofile_test

import (
	"fmt"
	"strings"
	"testing"

	"xtm/hwprofile"
	"xtm/internal/finding"
)

// TestMemory is scenario 15, first half.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		text string
		want finding.Verdict
		says string
	}{
		{"type = \"hvm\"\nmemory = 1024\nmaxmem = 2048\n", finding.Bad, "that is HVM"},
		{"builder='hvm'\nmemory=1024\nmaxmem=2048", finding.Bad, "that is HVM"},
		{"type = 'pvh'\nmaxmem = 2048 # MiB\nmemory = 1024;\n", finding.Bad, "that is PVH"},
		{"type = \"hvm\"\nmemory = 2048\n", finding.Good, "as they have to be"},
		{"type = \"hvm\"\nmaxmem = 0x800\nmemory = 2048\n", finding.Good, "nothing of it can be taken back"},
		{"memory = 1024\nmaxmem = 2048\ne820_host = 1\n", finding.Note, "from 1024 to 2048 MiB"},
		{"memory = 1024\n", finding.Good, "can still give memory back"},
		{"memory = 2048\nmaxmem = 1024\n", finding.Bad, "is more than maxmem"},
	} {
		g, err := hwprofile.ParseGuest([]byte("name = \"web1\"\n" + c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if f := g.Check(); f.Verdict != c.want || !strings.Contains(f.Seen, c.says) || f.Subject != "web1" {
			t.Errorf("%q: %+v", c.text, f)
		}
	}
}

func TestParseGuest(t *testing.T) {
	g, err := hwprofile.ParseGuest([]byte(`# memory = 1
name="a # b"
disk = [ 'phy:/dev/vg0/web1,xvda,w', # [
	'file:/a]b,xvdb,w',
	'memory = 7', ]
extra = "memory=9 [ root=/dev/xvda"
vcpus = 2
memory = 512`))
	if want := (hwprofile.Guest{Name: "a # b", Kind: hwprofile.PV, Memory: 512, Maxmem: 512}); err != nil || g != want {
		t.Errorf("%+v, %v", g, err)
	}
	for text, says := range map[string]string{
		"name = \"x\"\n":                           "neither memory= nor maxmem= is set",
		"memory = lots\n":                          "line 1: want a number of MiB",
		"memory = 0\n":                             "line 1: want a number of MiB",
		"\ntype = \"vm\"\nmemory = 512\n":          "line 2: want pv, hvm or pvh",
		"maxmem = 99999999999999999999999999999\n": "line 1",
	} {
		if _, err := hwprofile.ParseGuest([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseGuest(f *testing.F) {
	f.Add("name = \"web1\"\ntype = \"pv\"\nmemory = 256\nmaxmem = 640\ndisk = [ 'phy:/dev/loop0,xvda,w' ]\n")
	f.Add("memory = 1\ndisk = [\n'memory = 2'\n]\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := hwprofile.ParseGuest([]byte(text))
		if err != nil {
			return
		}
		if g.Memory <= 0 || g.Maxmem <= 0 {
			t.Errorf("%+v", g)
		}
		again, err := hwprofile.ParseGuest(fmt.Appendf(nil, "type = %q\nmemory = %d\nmaxmem = %d\n", g.Kind, g.Memory, g.Maxmem))
		if again.Name = g.Name; err != nil || again != g {
			t.Errorf("%+v is written and read as %+v, %v", g, again, err)
		}
	})
}
