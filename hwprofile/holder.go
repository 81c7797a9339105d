package hwprofile

import (
	"context"
	"strings"

	"xtm/hwprofile/pci"
	"xtm/internal/role"
	"xtm/internal/run"
)

// held is what Dom0's backends have given to guests.
type held struct {
	known   bool
	devices map[pci.Address]string // to the number of the domain
	disks   map[string]string      // domain: disk; one stands for all
}

// backends is where Xen's own store says who has what.
const backends = "/local/domain/0/backend"

func (p *Profile) readHeld(ctx context.Context, start run.Func) {
	if p.Role != role.Host || start == nil {
		return
	}
	c := run.Cmd{Name: "xenstore-ls", Args: []string{"-f", backends}}
	res, err := start.Checked(ctx, c)
	if err != nil {
		p.gap("devices that guests have", err)
		return
	}
	p.held = parseHeld(string(res.Stdout))
}

// parseHeld reads xenstore-ls -f:
//
//	/local/domain/0/backend/pci/1/0/dev-0 = "0000:01:00.0"
//	/local/domain/0/backend/pci/1/0/state-0 = "3"
//	/local/domain/0/backend/vbd/1/51712/physical-device = "fe:30"
//	/local/domain/0/backend/vbd/1/51712/params = "/dev/vdd"
//
// (Xen 4.17 and 4.12.) Guests cannot write these.
func parseHeld(text string) held {
	h := held{known: true, devices: map[pci.Address]string{}, disks: map[string]string{}}
	for l := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), " = ")
		rest, below := strings.CutPrefix(key, backends+"/")
		f := strings.Split(rest, "/")
		if !ok || !below || len(f) != 4 {
			continue
		}
		value = strings.Trim(value, `"`)
		switch {
		case f[0] == "pci" && strings.HasPrefix(f[3], "dev-"):
			if a, err := pci.ParseAddress(value); err == nil {
				h.devices[a] = f[1]
			}
		case f[0] == "vbd" && (f[3] == "physical-device" || f[3] == "params" && strings.HasPrefix(value, "/dev/")):
			h.disks[f[1]+" ("+f[2]+")"] = value
		}
	}
	return h
}
