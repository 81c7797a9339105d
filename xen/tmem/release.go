package tmem

import (
	"math"

	"xtm/xen"
)

// ControlPath is how the toolstack's calls reach tmem. The numbers of the
// operations changed their meaning between them, so that a call of the wrong
// path may do something else.
type ControlPath string

// The control paths; "" is none.
const (
	// ControlHypercall is tmem_op 38 with TMEM_CONTROL, 4.0.0–4.5.
	ControlHypercall ControlPath = "tmem_op"
	// ControlSysctl is XEN_SYSCTL_tmem_op with the operations of 4.0–4.5,
	// 4.6–4.7 (X:d0edc15a6c).
	ControlSysctl ControlPath = "sysctl"
	// ControlClientInfo is the same sysctl in which operations 5–7 read and
	// write a client's record instead, 4.8.
	ControlClientInfo ControlPath = "sysctl client info"
	// ControlPools is that with SET_POOLS and SET_AUTH, 4.9–4.12.
	ControlPools ControlPath = "sysctl pools"
)

// Features is what a release of Xen can do with tmem, as its upstream tag has
// it: a distribution may have patched it. The zero value is a release without
// tmem, or an unknown one.
type Features struct {
	// Exists: the code is in the tree, 4.0.0–4.12. It is off at boot in each.
	Exists bool
	// Removed: 4.13 and later.
	Removed bool
	// Kconfig: CONFIG_TMEM exists, so that it may be compiled out.
	Kconfig bool
	// BuiltByDefault: a hypervisor built with the defaults has it.
	BuiltByDefault bool
	// Experimental: SUPPORT.md says so, which is without security support.
	Experimental bool

	// Dedup: tmem_dedup and tmem_tze are parameters of the command line.
	Dedup bool
	// SharedAuthParam: tmem_shared_auth is one. Without it shared pools need
	// an authorisation always.
	SharedAuthParam bool
	// LockParam: tmem_lock is one.
	LockParam bool
	// DisableWord: "disable" switches a boolean parameter off.
	DisableWord bool
	// ClosedBooleans: a value that is not one of ten words is refused and
	// leaves the parameter as it was; before, it means yes.
	ClosedBooleans bool

	// Control is how a toolstack's call reaches tmem.
	Control ControlPath
	// RefusesWhenOff: TMEM_LIST and the other controls answer ENODEV unless
	// tmem was switched on at boot. Later they succeed, with zeros.
	RefusesWhenOff bool
	// XL: xl has tmem-list and its sisters.
	XL bool
	// XLFreeable: xl has tmem-freeable; XLFreeableTrue: what it prints is
	// right, later it is 0 whatever the truth.
	XLFreeable, XLFreeableTrue bool
	// XLExitStatus: xl's exit status tells a failure. Before, only stderr does.
	XLExitStatus bool

	// Cap: C lines have ca.
	Cap bool
	// Cycles: the T line has statistics and Tc counts. Later T is a letter
	// alone and Tc is 0.
	Cycles bool

	// XSA15Fixed: guests are kept from the control operations, and XSA-15
	// (CVE-2012-3497 and others) is repaired.
	XSA15Fixed bool
	// SelfAuthorise: a guest can authorise itself for a shared pool.
	SelfAuthorise bool
	// SharedPoolsCrash: shared pools can bring down the host.
	SharedPoolsCrash bool
}

// For tells what a release can do. An unknown version has no feature at all;
// an unknown patch level counts as .0.
func For(v xen.Version) Features {
	var f Features
	n := ordinal(v)
	for _, fact := range facts {
		if n >= fact.since.ordinal() && n < fact.until.ordinal() {
			fact.set(&f)
		}
	}
	return f
}

// release is 4.minor.patch.
type release struct{ minor, patch int }

func (r release) ordinal() int { return r.minor<<16 | r.patch }

// never is later than every release.
var never = release{minor: math.MaxInt32 >> 16}

func ordinal(v xen.Version) int {
	switch {
	case !v.Known() || v.Major < 4:
		return -1
	case v.Major > 4:
		return never.ordinal() - 1
	}
	patch, _ := v.Patch()
	return release{min(v.Minor, never.minor-1), min(patch, 1<<16-1)}.ordinal()
}

// facts is the one place that says since when, and until before when. X: is
// the history of the Xen project's tree; "read at" names the tags looked at.
var facts = []struct {
	since, until release
	set          func(*Features)
}{
	// X:6009f4ddb2 (2009-05-26), removed by X:c492e19fdd and X:c588c002cc.
	{release{}, release{13, 0}, func(f *Features) { f.Exists = true }},
	{release{13, 0}, never, func(f *Features) { f.Removed = true }},
	// X:6ea2dc59a7, default y; X:a67ce55a3e turned the default to n.
	{release{7, 0}, release{13, 0}, func(f *Features) { f.Kconfig = true }},
	{release{}, release{12, 0}, func(f *Features) { f.BuiltByDefault = true }},
	// SUPPORT.md, read at 4.10.0–4.12.0; the file is new in 4.10.
	{release{10, 0}, release{13, 0}, func(f *Features) { f.Experimental = true }},

	// xen/common/tmem_xen.c: X:bf7c7a9e52, deleted by X:1a70e54b5f.
	{release{0, 1}, release{8, 0}, func(f *Features) { f.Dedup = true }},
	// X:a9a3c04567.
	{release{}, release{9, 0}, func(f *Features) { f.SharedAuthParam = true }},
	// X:b67497054e.
	{release{}, release{4, 0}, func(f *Features) { f.LockParam = true }},
	// xen/common/kernel.c, read at 4.0.0–4.0.4 and 4.1.0.
	{release{1, 0}, never, func(f *Features) { f.DisableWord = true }},
	// X:63e8a1e5ff.
	{release{10, 0}, never, func(f *Features) { f.ClosedBooleans = true }},

	// X:d0edc15a6c (4.6), the cleanup of 4.8, X:a9a3c04567 (4.9).
	{release{}, release{6, 0}, func(f *Features) { f.Control = ControlHypercall }},
	{release{6, 0}, release{8, 0}, func(f *Features) { f.Control = ControlSysctl }},
	{release{8, 0}, release{9, 0}, func(f *Features) { f.Control = ControlClientInfo }},
	{release{9, 0}, release{13, 0}, func(f *Features) { f.Control = ControlPools }},
	// do_tmem_op tests tmem_initialized first; the sysctl path does not.
	{release{}, release{6, 0}, func(f *Features) { f.RefusesWhenOff = true }},
	// X:5c898a05f4, backported to 4.0.1 (tools/libxl/xl_cmdtable.c).
	{release{0, 1}, release{13, 0}, func(f *Features) { f.XL = true }},
	// X:870648146f; X:9554c36ff3 drops the value.
	{release{1, 0}, release{13, 0}, func(f *Features) { f.XLFreeable = true }},
	{release{1, 0}, release{8, 0}, func(f *Features) { f.XLFreeableTrue = true }},
	// X:749244d4d9.
	{release{8, 0}, release{13, 0}, func(f *Features) { f.XLExitStatus = true }},

	// tmemc_list_client, read at 4.7.0 and 4.8.0.
	{release{}, release{8, 0}, func(f *Features) { f.Cap = true }},
	// The cycle counters went in 4.4.0 (tmemc_list_global_perf).
	{release{}, release{4, 0}, func(f *Features) { f.Cycles = true }},

	// do_tmem_control's privilege test, read at 4.0.4, 4.1.3, 4.1.4, 4.2.0,
	// 4.2.1 and 4.3.0. No 4.0.x has it.
	{release{1, 4}, release{2, 0}, func(f *Features) { f.XSA15Fixed = true }},
	{release{2, 1}, release{13, 0}, func(f *Features) { f.XSA15Fixed = true }},
	// TMEM_AUTH is a guest's call up to 4.8 (do_tmem_op, read at 4.3.0–4.8.0).
	{release{}, release{9, 0}, func(f *Features) { f.SelfAuthorise = true }},
	// X:a36590e1b5 broke them, X:7ec4b2f89e repaired them.
	{release{5, 0}, release{6, 0}, func(f *Features) { f.SharedPoolsCrash = true }},
}
