package toml_test

import (
	"strings"
	"testing"

	"xtm/internal/toml"
)

func TestDecodeSaysWhere(t *testing.T) {
	for text, want := range map[string]string{
		"[a]\nb = 1\n":          "",
		"[a]\nb = 1\nc.d = 2\n": `line 3, column 1: nothing is called "a.c.d" here`,
		"[a]\nb = \"x\"\n":      "line 2, column 5: ",
		"[a]\nb = \n":           "line 2, ",
		"[a]\nb = 1\nb = 2\n":   "line 3, ",
	} {
		var into struct {
			A struct {
				B int `toml:"b"`
			} `toml:"a"`
		}
		switch err := toml.Decode([]byte(text), &into); {
		case want == "" && (err != nil || into.A.B != 1):
			t.Errorf("%q: %+v, %v", text, into, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%q: %v, want %s…", text, err, want)
		}
	}
}
