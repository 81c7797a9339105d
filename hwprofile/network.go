package hwprofile

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const classNet = "/sys/class/net/"

// network finds the cards under the default routes, and under the routes to
// servers whose file systems are mounted.
func (u *uses) network() {
	v4, err := u.files.ReadFile("/proc/net/route")
	u.p.gap("routes", err)
	if err != nil {
		u.all(classNetwork, GuardDefaultRoute, "the routes could not be read")
	}
	routes := parseRoutes(string(v4))
	for _, r := range routes {
		if r.to.Bits() == 0 {
			u.card(r.by, GuardDefaultRoute, "default route (IPv4)")
		}
	}
	for _, by := range defaultRoutes6(u.text("/proc/net/ipv6_route")) {
		u.card(by, GuardDefaultRoute, "default route (IPv6)")
	}
	b, err := u.files.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return // storage has said so
	}
	for l := range strings.Lines(string(b)) {
		m, ok := parseMount(l)
		if !ok || !strings.HasPrefix(m.kind, "nfs") && m.kind != "cifs" {
			continue
		}
		for o := range strings.SplitSeq(m.options, ",") {
			server, err := netip.ParseAddr(strings.TrimPrefix(o, "addr="))
			if err != nil || !strings.HasPrefix(o, "addr=") {
				continue
			}
			if r, ok := best(routes, server); ok {
				u.card(r.by, GuardNetworkDisk, m.point+" ("+m.kind+" of "+server.String()+")")
			}
		}
	}
}

// route is one line of a table of routes.
type route struct {
	to netip.Prefix
	by string
}

// parseRoutes reads /proc/net/route; numbers are little-endian hexadecimal, and
// a route that is not up does not count.
//
//	Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
//	eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
//
// (Linux 6.1.)
func parseRoutes(text string) []route {
	const up = 1
	var list []route
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) < 8 {
			continue
		}
		to, ok1 := littleEndian(f[1])
		mask, ok2 := littleEndian(f[7])
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if !ok1 || !ok2 || err != nil || flags&up == 0 {
			continue // the heading too
		}
		bits := 0
		for bits < 32 && mask[bits/8]&(0x80>>(bits%8)) != 0 {
			bits++
		}
		list = append(list, route{netip.PrefixFrom(netip.AddrFrom4(to), bits), f[0]})
	}
	return list
}

func littleEndian(s string) ([4]byte, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return [4]byte{}, false
	}
	slices.Reverse(b)
	return [4]byte(b), true
}

// best is the route with the longest prefix.
func best(routes []route, a netip.Addr) (found route, ok bool) {
	for _, r := range routes {
		if r.to.Contains(a) && (!ok || r.to.Bits() > found.to.Bits()) {
			found, ok = r, true
		}
	}
	return found, ok
}

// defaultRoutes6 reads /proc/net/ipv6_route: destination, its length, source,
// its length, next hop, metric, references, use, flags, interface.
//
//	00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000021122fffe334455 00000400 00000001 00000000 00000003 eth0
//	00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
//
// (Linux 6.1; the second line refuses, and is there always.)
func defaultRoutes6(text string) []string {
	const up, reject = 1, 0x200
	var by []string
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) != 10 || f[1] != "00" || strings.Trim(f[0], "0") != "" {
			continue
		}
		flags, err := strconv.ParseUint(f[8], 16, 32)
		if err == nil && flags&up != 0 && flags&reject == 0 && f[9] != "lo" {
			by = append(by, f[9])
		}
	}
	return by
}

// card follows an interface to the functions below it. Where it leads to none,
// any card may be it.
func (u *uses) card(name string, g Guard, what string) {
	if !u.below(name, g, []string{what}, map[string]bool{}) {
		u.all(classNetwork, g, what, fmt.Sprintf("by %s, which could not be followed to a card", name))
	}
}

// below goes down through bridges, bonds, VLANs and Open vSwitch.
func (u *uses) below(name string, g Guard, chain []string, seen map[string]bool) bool {
	if seen[name] {
		return false
	}
	seen[name] = true
	link, err := u.files.Readlink(classNet + name)
	if err != nil {
		return false
	}
	chain = append(slices.Clone(chain), name)
	if a, ok := pciOf(link); ok && !isVirtual(link) {
		u.add(a, g, chain...)
		return true
	}
	var lower []string
	entries, err := u.files.ReadDir(classNet + name)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e, "lower_"); ok {
			lower = append(lower, n)
		}
	}
	if ports, err := u.files.ReadDir(classNet + name + "/brif"); err == nil {
		lower = append(lower, ports...)
	}
	lower = append(lower, strings.Fields(u.text(classNet+name+"/bonding/slaves"))...)
	if len(lower) == 0 {
		lower = u.switched(name)
	}
	found := false
	for _, n := range lower {
		found = u.below(n, g, chain, seen) || found
	}
	return found
}

// switched are the ports of Open vSwitch, which shows no other sign of which
// bridge a port belongs to than its own database.
func (u *uses) switched(name string) []string {
	var ports []string
	names, err := u.files.ReadDir(classNet)
	if err != nil || !slices.Contains(names, "ovs-system") {
		return nil
	}
	for _, n := range names {
		if n != name && u.base(classNet+n+"/master") == "ovs-system" {
			ports = append(ports, n)
		}
	}
	return ports
}
