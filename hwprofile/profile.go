// Package hwprofile says what a machine is: processor, board, memory, PCI tree
// and IOMMU, and which devices can be given to a guest. It is made to be right
// in Dom0 too, where the kernel sees virtual processors and no IOMMU at all.
//
// It opens files through hostfs, starts programs through run, and writes
// nothing. What could not be read is absent and stands in Profile.Gaps.
package hwprofile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xtm/hwprofile/acpi"
	"xtm/hwprofile/pci"
	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/hostfs"
	"xtm/internal/role"
	"xtm/internal/run"
	"xtm/xen"
)

// Schema is the version of Profile's JSON form. It rises when a field changes
// its meaning or goes away, not when one is added.
const Schema = 1

// Hypervisor tells what Xen knows of the machine; package xen/xl has one.
type Hypervisor interface {
	Host(ctx context.Context) (xen.Host, error)
}

// Machine is what a profile is read from.
type Machine struct {
	Files hostfs.Files
	Run   run.Func
	// Hypervisor is asked in Dom0 only.
	Hypervisor Hypervisor
	// IDs is where pci.ids is looked for; nil is Files.
	IDs hostfs.Files
	// Names go before those of pci.ids; nil is none.
	Names *pci.IDs
}

// Profile is what a machine is.
type Profile struct {
	Schema int `json:"schema"`
	// Role is which side of Xen this is; "" could not be told.
	Role role.Role `json:"role,omitempty"`
	// RoleSeen is what Role rests on.
	RoleSeen string `json:"role_seen"`
	// Recorded names the recording that this was read from; "" is live.
	Recorded string `json:"recorded,omitempty"`

	CPU    CPU    `json:"cpu"`
	Board  Board  `json:"board"`
	Memory Memory `json:"memory"`
	// Xen is nil outside Dom0 and where xl could not be asked.
	Xen   *xen.Host `json:"xen,omitempty"`
	IOMMU IOMMU     `json:"iommu"`

	// Devices by address.
	Devices []Device `json:"devices"`
	Tree    pci.Tree `json:"tree"`
	// Names is where the devices' names are from: a path, or "embedded".
	Names string `json:"names"`
	// Groups are the isolation groups: what is in one goes to a guest together.
	Groups []pci.Group `json:"groups,omitempty"`
	// GroupsBy says who made the groups; "" where there are none.
	GroupsBy GroupsBy `json:"groups_by,omitempty"`
	// XenGroups is Xen's own, coarser notion, which ignores access control;
	// only in Dom0.
	XenGroups []pci.Group `json:"xen_groups,omitempty"`

	// Uses are why the machine itself needs a device.
	Uses []Use `json:"uses,omitempty"`
	// Passthrough is whether each device can go to a guest, by address.
	Passthrough []Readiness `json:"passthrough,omitempty"`

	Findings []finding.Finding `json:"findings,omitempty"`
	Gaps     []xen.Gap         `json:"gaps,omitempty"`

	topology *pci.Topology
	names    *pci.IDs
	commands []string // of this kernel
	held     held
	system   system
}

// PCIDevices is what a gap is called where there is no list of devices at all.
const PCIDevices = "PCI devices"

// GroupsBy is who made the groups.
type GroupsBy string

// The kernel's own groups, or those that Linux would make of these
// configuration spaces.
const (
	GroupsByKernel   GroupsBy = "kernel"
	GroupsByComputed GroupsBy = "computed"
)

// Device is one PCI function with its name and its place among the groups.
type Device struct {
	pci.Device

	// Name is maker and part, "Device 1912:0015" where it is not known.
	Name string `json:"name"`
	// ClassName is "" unknown.
	ClassName string `json:"class_name,omitempty"`
}

// Read returns the profile. The error is set only where ctx ended; what could
// not be read is in Profile.Gaps.
func Read(ctx context.Context, m Machine) (Profile, error) {
	p := Profile{Schema: Schema}
	var err error
	if p.Role, p.RoleSeen, err = role.Detect(m.Files); err != nil {
		p.RoleSeen = err.Error()
		p.gap("which side of Xen this is", err)
	}
	if p.Role == role.Host && m.Hypervisor != nil {
		h, err := m.Hypervisor.Host(ctx)
		p.gap("what Xen knows of the machine (xl info)", err)
		if err == nil {
			p.Xen = &h
		}
	}
	p.readCPU(m.Files)
	p.readBoard(m.Files)
	p.readMemory(m.Files)
	p.readDevices(m)
	p.readIOMMU(ctx, m)
	p.group()
	p.readHeld(ctx, m.Run)
	p.readUses(m.Files)
	p.readSystem(m.Files)
	p.assess()
	p.judge(m.Files)
	return p, ctx.Err()
}

func (p *Profile) readDevices(m Machine) {
	devices, gaps, err := pci.Read(m.Files)
	p.gap(PCIDevices, err)
	p.topology = pci.NewTopology(devices)
	p.Gaps = append(p.Gaps, merged(append(gaps, p.topology.Gaps...))...)
	ids := m.IDs
	if ids == nil {
		ids = m.Files
	}
	p.names, gaps = pci.LoadIDs(ids)
	for _, g := range gaps {
		if g.Cause != cause.NoData { // a capture has other words for a file that is not there
			p.Gaps = append(p.Gaps, g)
		}
	}
	p.Names = p.names.Source
	if m.Names != nil {
		p.names = p.names.Overlay(m.Names)
	}
	p.Tree = p.topology.Tree()
	p.Devices = make([]Device, 0, len(p.topology.Devices))
	for _, d := range p.topology.Devices {
		p.Devices = append(p.Devices, Device{d, p.names.Name(d.ID), p.names.Class(d.Class.Or(0))})
	}
}

// group takes the kernel's groups, or computes them where it drives no IOMMU.
func (p *Profile) group() {
	if len(p.Devices) == 0 {
		return
	}
	if p.Role == role.Host {
		p.XenGroups = p.topology.XenGroups()
	} else if groups, err := p.topology.KernelGroups(); err == nil {
		p.Groups, p.GroupsBy = groups, GroupsByKernel
		return
	}
	// Dom0's kernel asks for access control as Xen does, so that what is
	// enabled there is in force; on a bare machine it would be, were the IOMMU on.
	rules := pci.Rules{AssumeEnabled: p.Role != role.Host || !p.IOMMU.On(), IVRS: p.IOMMU.IVRS != nil}
	groups, err := p.topology.ComputedGroups(rules)
	if err != nil {
		p.gap("isolation groups", err)
		return
	}
	p.Groups, p.GroupsBy = groups, GroupsByComputed
}

// LspciTree draws the devices as lspci -tv does.
func (p *Profile) LspciTree() []byte { return p.topology.LspciTree(p.names, pci.PerDomain) }

// Device returns the device at an address, nil where there is none.
func (p *Profile) Device(a pci.Address) *Device {
	i, ok := slices.BinarySearchFunc(p.Devices, a, func(d Device, a pci.Address) int { return d.Address.Compare(a) })
	if !ok {
		return nil
	}
	return &p.Devices[i]
}

// gap notes what could not be read; nil is no gap.
func (p *Profile) gap(what string, err error) {
	if err != nil {
		p.Gaps = append(p.Gaps, xen.GapOf(what, err))
	}
}

// optional notes a failure, but not that there is nothing.
func (p *Profile) optional(what string, err error) {
	if cause.Of(err) != cause.NoData {
		p.gap(what, err)
	}
}

// merged makes one gap of those that many devices have in common.
func merged(gaps []xen.Gap) []xen.Gap {
	const alone = 3
	by := map[cause.Word]int{}
	for _, g := range gaps {
		by[g.Cause]++
	}
	var out []xen.Gap
	said := map[cause.Word]bool{}
	for _, g := range gaps {
		switch n := by[g.Cause]; {
		case n <= alone:
			out = append(out, g)
		case !said[g.Cause]:
			said[g.Cause] = true
			g.What = fmt.Sprintf("%s, and %d more of the PCI devices' files", g.What, n-1)
			out = append(out, g)
		}
	}
	return out
}

// table tells a table that is broken, whose readable part is returned beside
// the error, from one that could not be had.
func table(err error) bool { return err == nil || errors.Is(err, acpi.ErrTable) }
