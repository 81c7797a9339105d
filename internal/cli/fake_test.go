package cli_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"xtm/xen/hypercall"
	"xtm/xen/hypercall/hypercalltest"
	"xtm/xen/tmem/tmemtest"
)

// fakeXen is the hypervisor of a release with two guests under tmem, where the
// release has it.
func fakeXen(release string) *hypercalltest.Xen {
	vendor := release == "vendor"
	if vendor {
		release = "4.4.4"
	}
	x := hypercalltest.New(release, time.Date(2026, 11, 22, 13, 35, 22, 0, time.UTC))
	if vendor {
		x.SysctlVersion = 0x4001
	}
	if x.Version.Before(4, 13) {
		x.TmemBuilt, x.TmemOn, x.Listing, x.FreeableMB = true, true, tmemtest.Host(2, 2), 646
	}
	x.CommandLine, x.Console = "tmem password=hunter2", "(XEN) tmem: initialized comp=0\n"
	x.Domains = append(
		x.Domains,
		hypercalltest.Domain{ID: 1, Flags: 1 << 4, Pages: 31482, MaxPages: 65792, VCPUs: 2, UUID: "1d9f7584-e679-11f1-971d-5fe415631a83"},
		hypercalltest.Domain{ID: 2, Flags: 1 << 4, Pages: 30000, MaxPages: 65792, VCPUs: 1, UUID: "22f6872a-e679-11f1-b8bf-2183b6966cf5"},
	)
	return x
}

// xenstoreKeys is a xenstore that knows the names.
type xenstoreKeys struct{}

func (xenstoreKeys) Read(_ context.Context, path string) (string, error) {
	if v, ok := map[string]string{
		"/local/domain/0/name": "Domain-0", "/local/domain/1/name": "shop", "/local/domain/2/name": "mail",
		"/local/domain/1/memory/target": "262144", "/local/domain/2/memory/target": "262144",
	}[path]; ok {
		return v, nil
	}
	return "", &fs.PathError{Op: "read xenstore", Path: path, Err: syscall.ENOENT}
}

// noXen is a kernel without privcmd.
type noXen struct{}

func (noXen) Call(context.Context, *hypercall.Request) (hypercall.Answer, error) {
	return hypercall.Answer{}, &fs.PathError{Op: "open", Path: "/dev/xen/privcmd", Err: syscall.ENOENT}
}

// noLibvirt is a machine without libvirtd.
func noLibvirt(context.Context) (net.Conn, error) {
	return nil, fmt.Errorf("connect: %w", &fs.PathError{Op: "dial", Path: "/run/libvirt/libvirt-sock", Err: syscall.ENOENT})
}
