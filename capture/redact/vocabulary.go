package redact

import "strings"

// vocabulary are the words, in lower case, that stand in captures whatever the
// machine is called: what parsers look for, what paths and arguments are made
// of, names of systems that are the default name of many a host.
var vocabulary = words(`
xl xm xen xend xentop xenstore hypervisor dom0 domu domain domains local tool vm
list info dmesg uptime vcpu tmem listing freeable long verbose numa config
name state time mem maxmem vcpus cpu cpus nets vbds ssid uuid reason code
security label node affinity soft hard mib kib
memory target static max videoram data meminfo control feature balloon shutdown updated total free
pv hvm pvh pvhvm yes true false none unknown null default
tmem_compress tmem_dedup tmem_lock ephemeral persistent cleancache frontswap
selfballooning selfshrinking selfballoon enabled disabled initialized initialised
comp dedup tze ram provided
using transcendent supported removed error warning failed not and for the with
command line loglvl guest_loglvl dom0_mem com1 console hvc0 tty ttys0 vga noreboot
permission denied operation permitted implemented function hypercall privileged interface execute
unable find information available such can get does exist path access could libxl libxc xs_directory
warning only first physical memory limit exceeded disabling truncating map
root boot init initrd linux kernel kernels module modules modprobe version release
proc sys dev devices device system etc usr var lib tmp run mnt opt home bin sbin
mapper disk disks swap swaps swapfile partition file filename size used priority type
mounts mount tmpfs devtmpfs devpts sysfs procfs debugfs rootfs securityfs cgroup cgroup2
ext2 ext3 ext4 xfs btrfs zfs nfs cifs ocfs2 fuse overlay vfat iso9660 squashfs
relatime noatime noexec nosuid nodev mode gid uid
grub grub.d default conf os-release osrelease hostname capabilities privcmd
properties features changeset compilation compiler compiled_by compile_date parameters
debug host user remote dom guest redacted scrubbed invalid fd00 iqn http https
debian ubuntu fedora centos redhat rhel alma almalinux rocky suse opensuse alpine arch gentoo
slackware oracle qubes xcp xenserver citrix stable testing unstable
server localhost localdomain gnu gcc smp preempt amd64 x86 x86_64 i386 i686 generic
mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec utc
`)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}
