package tmem_test

import (
	"testing"

	"xtm/xen"
	"xtm/xen/tmem"
)

func version(t *testing.T, s string) xen.Version {
	t.Helper()
	if s == "" {
		return xen.Version{}
	}
	v, err := xen.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The rows of the reference's change matrix, release by release.
func TestFeatures(t *testing.T) {
	tests := []struct {
		version string
		want    tmem.Features
	}{
		{"", tmem.Features{}},
		{"3.4.4", tmem.Features{}},
		{"4.0.0", tmem.Features{
			Exists: true, BuiltByDefault: true, SharedAuthParam: true, LockParam: true, Control: tmem.ControlHypercall,
			RefusesWhenOff: true, Cap: true, Cycles: true, SelfAuthorise: true,
		}},
		{"4.0.4", tmem.Features{
			Exists: true, BuiltByDefault: true, Dedup: true, SharedAuthParam: true, LockParam: true, Control: tmem.ControlHypercall,
			RefusesWhenOff: true, XL: true, Cap: true, Cycles: true, SelfAuthorise: true,
		}},
		{"4.1.3", tmem.Features{
			Exists: true, BuiltByDefault: true, Dedup: true, SharedAuthParam: true, LockParam: true, DisableWord: true,
			Control: tmem.ControlHypercall, RefusesWhenOff: true, XL: true, XLFreeable: true, XLFreeableTrue: true,
			Cap: true, Cycles: true, SelfAuthorise: true,
		}},
		{"4.5.5", tmem.Features{
			Exists: true, BuiltByDefault: true, Dedup: true, SharedAuthParam: true, DisableWord: true,
			Control: tmem.ControlHypercall, RefusesWhenOff: true, XL: true, XLFreeable: true, XLFreeableTrue: true,
			Cap: true, XSA15Fixed: true, SelfAuthorise: true, SharedPoolsCrash: true,
		}},
		{"4.7.6", tmem.Features{
			Exists: true, Kconfig: true, BuiltByDefault: true, Dedup: true, SharedAuthParam: true, DisableWord: true,
			Control: tmem.ControlSysctl, XL: true, XLFreeable: true, XLFreeableTrue: true,
			Cap: true, XSA15Fixed: true, SelfAuthorise: true,
		}},
		{"4.8.5", tmem.Features{
			Exists: true, Kconfig: true, BuiltByDefault: true, SharedAuthParam: true, DisableWord: true,
			Control: tmem.ControlClientInfo, XL: true, XLFreeable: true, XLExitStatus: true, XSA15Fixed: true, SelfAuthorise: true,
		}},
		{"4.11.4-pre", tmem.Features{
			Exists: true, Kconfig: true, BuiltByDefault: true, Experimental: true, DisableWord: true, ClosedBooleans: true,
			Control: tmem.ControlPools, XL: true, XLFreeable: true, XLExitStatus: true, XSA15Fixed: true,
		}},
		{"4.12.4", tmem.Features{
			Exists: true, Kconfig: true, Experimental: true, DisableWord: true, ClosedBooleans: true,
			Control: tmem.ControlPools, XL: true, XLFreeable: true, XLExitStatus: true, XSA15Fixed: true,
		}},
		{"4.13.0-rc1", tmem.Features{Removed: true, DisableWord: true, ClosedBooleans: true}},
		{"4.17.7", tmem.Features{Removed: true, DisableWord: true, ClosedBooleans: true}},
		{"5.0", tmem.Features{Removed: true, DisableWord: true, ClosedBooleans: true}},
	}
	for _, tt := range tests {
		same(t, tmem.For(version(t, tt.version)), tt.want)
	}
}

// XSA-15 was repaired within 4.1 and 4.2.
func TestXSA15(t *testing.T) {
	for v, fixed := range map[string]bool{
		"4.0.4": false, "4.1.0": false, "4.1.3": false, "4.1.4": true, "4.1.6.1": true, "4.1": false,
		"4.2.0": false, "4.2.0-rc4": false, "4.2.1": true, "4.2.5": true, "4.3.0": true, "4.12.0": true,
	} {
		if got := tmem.For(version(t, v)).XSA15Fixed; got != fixed {
			t.Errorf("%s: fixed %v, want %v", v, got, fixed)
		}
	}
}
