package tune

import (
	"regexp"
	"strings"

	"xtm/xen"
)

// Toolstack is how xl finds memory for a new domain.
type Toolstack struct {
	// Autoballoon tells that xl shrinks Dom0 when memory is short. It looks at
	// free memory alone and not at what tmem could give back.
	Autoballoon bool `json:"autoballoon"`
	// Claims tells that Xen sets the memory aside, from tmem too, before the
	// domain is built (4.3 and later).
	Claims bool `json:"claims"`
	// Seen is what that rests on.
	Seen string `json:"seen"`
}

// ConfigFile is xl's own configuration.
const ConfigFile = "/etc/xen/xl.conf"

// dom0Fixed is what xl takes for a fixed size of Dom0 on Xen's command line
// (auto_autoballoon in tools/libxl/xl.c, 4.3–4.12).
var dom0Fixed = regexp.MustCompile(`(^| )dom0_mem=((|min:|max:)[0-9]+[bBkKmMgG]?,?)+($| )`)

// ToolstackOf reads xl.conf, which may be nil, with Xen's command line. Lines of
// Debian's, where all are comments:
//
//	#autoballoon="auto"
//	claim_mode=1
//	autoballoon = "off"
//
// Up to 4.2 autoballoon is a number and on by default, and there are no claims.
func ToolstackOf(conf []byte, cmdline string, v xen.Version) Toolstack {
	set := map[string]string{}
	for line := range strings.SplitSeq(string(conf), "\n") {
		line, _, _ = strings.Cut(line, "#")
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); ok && (key == "autoballoon" || key == "claim_mode") {
			set[key] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	t := Toolstack{Autoballoon: true, Seen: "autoballoon is on"}
	switch value := set["autoballoon"]; {
	case value == "0", value == "off":
		t.Autoballoon, t.Seen = false, "autoballoon is off in "+ConfigFile
	case value == "1", value == "on":
		t.Seen = "autoballoon is on in " + ConfigFile
	case v.AtLeast(4, 3) && dom0Fixed.MatchString(cmdline):
		t.Autoballoon, t.Seen = false, "autoballoon is off, for dom0_mem is on Xen's command line"
	}
	if v.AtLeast(4, 3) && set["claim_mode"] != "0" && !t.Autoballoon {
		t.Claims = true
		t.Seen += ", and xl claims memory"
	}
	return t
}
