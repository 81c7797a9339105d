package grub

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindLoader(t *testing.T) {
	const update = "#!/bin/sh\nset -e\nexec grub-mkconfig -o /boot/grub/grub.cfg \"$@\"\n"
	const whole = "### BEGIN /etc/grub.d/00_header ###\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Loader
	}{
		{"Debian", map[string]string{mkconfig: debian, "usr/sbin/update-grub": update, "boot/grub/grub.cfg": whole}, Loader{
			Kind: GRUB2, Command: []string{"update-grub"}, Menu: "/boot/grub/grub.cfg", EnvBlock: "/boot/grub/grubenv", DropIns: true,
			Reasons: []string{"/usr/sbin/grub-mkconfig is there", "/boot/grub/grub.cfg is there", "/usr/sbin/update-grub is there, and runs it for /boot/grub/grub.cfg"},
		}},
		{"Arch, Gentoo, Alpine", map[string]string{"usr/bin/grub-mkconfig": "", "boot/grub/grub.cfg": whole}, Loader{
			Kind: GRUB2, Command: []string{"grub-mkconfig", "-o", "/boot/grub/grub.cfg"}, Menu: "/boot/grub/grub.cfg", EnvBlock: "/boot/grub/grubenv",
			Reasons: []string{"/usr/bin/grub-mkconfig is there", "/boot/grub/grub.cfg is there"},
		}},
		{"openSUSE, or Fedora on BIOS", map[string]string{"usr/sbin/grub2-mkconfig": "", "boot/grub2/grub.cfg": whole}, Loader{
			Kind: GRUB2, Command: []string{"grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"}, Menu: "/boot/grub2/grub.cfg", EnvBlock: "/boot/grub2/grubenv",
			Reasons: []string{"/usr/sbin/grub2-mkconfig is there", "/boot/grub2/grub.cfg is there"},
		}},
		{"Fedora 20 on EFI", map[string]string{"usr/sbin/grub2-mkconfig": "", "boot/efi/EFI/fedora/grub.cfg": whole, "boot/efi/EFI/BOOT/BOOTX64.EFI": ""}, Loader{
			Kind: GRUB2, Command: []string{"grub2-mkconfig", "-o", "/boot/efi/EFI/fedora/grub.cfg"}, Menu: "/boot/efi/EFI/fedora/grub.cfg",
			EnvBlock: "/boot/efi/EFI/fedora/grubenv",
			Reasons:  []string{"/usr/sbin/grub2-mkconfig is there", "/boot/efi/EFI/fedora/grub.cfg is a whole menu, which EFI firmware reads"},
		}},
		{"Fedora 34 on EFI", map[string]string{
			"usr/sbin/grub2-mkconfig": "", "boot/grub2/grub.cfg": whole, "sys/firmware/efi/x": "",
			"boot/efi/EFI/fedora/grub.cfg": "search --no-floppy --fs-uuid --set=dev 1-2\nset prefix=($dev)/grub2\nconfigfile $prefix/grub.cfg\n",
		}, Loader{
			Kind: GRUB2, Command: []string{"grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"}, Menu: "/boot/grub2/grub.cfg", EnvBlock: "/boot/grub2/grubenv",
			Reasons: []string{
				"/usr/sbin/grub2-mkconfig is there", "/boot/grub2/grub.cfg is there", "/boot/efi/EFI/fedora/grub.cfg only leads to another file",
			},
		}},
		{"both menus, started by EFI", map[string]string{
			"usr/sbin/grub2-mkconfig": "", "boot/grub2/grub.cfg": whole, "sys/firmware/efi/x": "", "boot/efi/EFI/centos/grub.cfg": whole,
		}, Loader{
			Kind: GRUB2, Command: []string{"grub2-mkconfig", "-o", "/boot/efi/EFI/centos/grub.cfg"}, Menu: "/boot/efi/EFI/centos/grub.cfg",
			EnvBlock: "/boot/efi/EFI/centos/grubenv",
			Reasons: []string{
				"/usr/sbin/grub2-mkconfig is there", "/boot/grub2/grub.cfg is there", "/boot/efi/EFI/centos/grub.cfg is a whole menu, which EFI firmware reads",
			},
		}},
		{"Debian 6 with GRUB legacy", map[string]string{"usr/sbin/update-grub": "#!/bin/bash\n# Generates grub config\n", "boot/grub/menu.lst": "default 0\n"}, Loader{
			Kind: GRUBLegacy, Edit: "/boot/grub/menu.lst",
			HostWords: "at the end of each kernel line that loads xen.gz", GuestWords: "at the end of each kernel line",
			Reasons: []string{"there is no grub-mkconfig and no grub2-mkconfig", "/boot/grub/menu.lst is there"},
		}},
		{"a guest that Dom0 boots, with GRUB's programs", map[string]string{mkconfig: debian, "usr/sbin/update-grub": update}, Loader{
			Kind: None, Reasons: []string{
				"/usr/sbin/grub-mkconfig is there", "it has not made a grub.cfg, so that GRUB 2 does not boot this machine", "no file of another boot loader is there",
			},
		}},
		{"extlinux", map[string]string{"boot/extlinux/extlinux.conf": ""}, Loader{
			Kind: Extlinux, Edit: "/boot/extlinux/extlinux.conf",
			HostWords: "in each APPEND line of mboot.c32, before the first ---", GuestWords: "at the end of each APPEND line",
			Reasons: []string{"there is no grub-mkconfig and no grub2-mkconfig", "/boot/extlinux/extlinux.conf is there"},
		}},
		{"xen.efi", map[string]string{"boot/efi/EFI/xen/xen-4.11.efi": "", "boot/efi/EFI/xen/xen-4.11.cfg": ""}, Loader{
			Kind: XenEFI, Edit: "/boot/efi/EFI/xen/xen-4.11.cfg", HostWords: "at the end of the options= line of each section",
			Reasons: []string{"there is no grub-mkconfig and no grub2-mkconfig", "/boot/efi/EFI/xen/xen-4.11.efi is started by the firmware"},
		}},
		{"systemd-boot", map[string]string{"boot/efi/loader/loader.conf": ""}, Loader{
			Kind: SystemdBoot, Edit: "/boot/efi/loader/entries", GuestWords: "at the end of the options line of each file there",
			Reasons: []string{"there is no grub-mkconfig and no grub2-mkconfig", "/boot/efi/loader/loader.conf is there"},
		}},
		{"XCP-ng", map[string]string{"opt/xensource/libexec/xen-cmdline": "", mkconfig: "", "boot/grub/grub.cfg": ""}, Loader{
			Kind: XenServer, Edit: "/boot/grub/grub.cfg", HostWords: "run: /opt/xensource/libexec/xen-cmdline --set-xen WORD",
			Reasons: []string{"/opt/xensource/libexec/xen-cmdline is there: XenServer and XCP-ng write grub.cfg themselves"},
		}},
		{"nothing", map[string]string{"etc/x": ""}, Loader{
			Kind: None, Reasons: []string{"there is no grub-mkconfig and no grub2-mkconfig", "no file of another boot loader is there"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FindLoader(host(t, tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
