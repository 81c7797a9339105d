#!/bin/sh
# what: the lines that detect passthrough prints: a card is hidden, a PV guest drives it, Dom0 has it back
# needs: xtm:detect xen>=4.13
# timeout: 400
card=0000:03:00.0
driver() { basename "$(readlink /sys/bus/pci/devices/$card/driver)"; }
drives() { [ "$(driver)" = "$1" ]; }
modules=/lib/modules/$(uname -r)

# What base-files and initramfs-tools would have brought.
echo ID=debian >/etc/os-release
mkdir -p /etc/modprobe.d /etc/initramfs-tools
echo '# List of modules' >/etc/initramfs-tools/modules
touch "$modules/modules.builtin" "$modules/modules.order" "$modules/modules.builtin.modinfo"
depmod -a
modprobe e1000e
await 30 drives e1000e

exits 0 xtm detect passthrough $card
mv out answer
exits 0 xtm detect passthrough --format json $card
mv out answer.json
same "the answer" ready "$(jq -r '.devices[0].answer' answer.json)"
for part in guest_config now now_undo hide hide_undo; do
	jq -r ".commands.$part | if type == \"array\" then .[] else . end" answer.json >$part
	[ -s $part ] || fail "no lines for $part"
	while read -r line; do
		grep -qF -- "$line" answer || fail "in the JSON, not in the text: $line"
	done <$part
done

# Dom0 gives it away.
sh -eux now
same "Dom0's driver" pciback "$(driver)"
same "xl's list" $card "$(xl pci-assignable-list | tr -d ' ')"
exits 0 xtm detect passthrough $card
grep -q 'hidden from Dom0 already' out || { cat out; fail "detect does not see that it is hidden"; }

# A guest with the driver and the line.
mkdir -p add/modules
for m in drivers/pci/xen-pcifront drivers/net/ethernet/intel/e1000e/e1000e; do
	cp "$modules/kernel/$m.ko" "add/modules/900-${m##*/}.ko"
done
{ cat /lab/guest/initrd; (cd add && find . | cpio -o -H newc); } >initrd
sed -e 's/plain1/driver1/g' -e "s,/lab/guest/initrd,$PWD/initrd," /lab/guest/plain1.cfg >driver1.cfg
cat guest_config >>driver1.cfg
cat driver1.cfg
xl create driver1.cfg
await 90 up driver1
id=$(xl domid driver1)
guest driver1 'for d in /sys/bus/pci/devices/*; do echo "${d##*/} $(cat $d/vendor):$(cat $d/device) $(basename $(readlink $d/driver))"; done; dmesg | grep -e e1000e -e pcifront' >guest.pci
cat guest.pci
grep -q "^0000:00:00.0 0x8086:0x10d3 e1000e$" guest.pci || fail "the guest's driver did not bind"

exits 3 xtm detect passthrough $card
grep -q "domain $id has it now" out || { cat out; fail "detect does not see who has it"; }
exits 0 xtm detect passthrough --guest driver1.cfg 0000:06:00.0

# And back.
xl destroy driver1
await 60 sh -c '! xl domid driver1'
sh -eux now_undo
await 30 drives e1000e
echo "ok: Dom0's driver is back"
same "xl's list" "" "$(xl pci-assignable-list)"
exits 0 xtm detect passthrough --format json $card
jq -S .commands out >after
jq -S .commands answer.json | diff - after || fail "the lines are others than before"

# At boot both modules are loaded anew: the lines let pciback come first. There
# is no initramfs here that update-initramfs could make.
rmmod e1000e xen-pciback
cp /etc/initramfs-tools/modules modules.before
printf '#!/bin/sh\n' >/usr/sbin/update-initramfs
chmod +x /usr/sbin/update-initramfs
. ./hide
cat /etc/modprobe.d/xtm-pciback.conf /etc/initramfs-tools/modules
modprobe e1000e
same "the driver after a boot" pciback "$(driver)"
same "the driver of the other card" e1000e "$(basename "$(readlink /sys/bus/pci/devices/0000:00:19.0/driver)")"
. ./hide_undo
rmmod e1000e xen-pciback
modprobe e1000e
same "the driver after the undo" e1000e "$(driver)"
cmp modules.before /etc/initramfs-tools/modules || fail "the undo left something"
[ ! -e /etc/modprobe.d/xtm-pciback.conf ] || fail "the undo left its file"

# A driver that has the device already keeps it, whatever the module is told:
# why no line is printed for drivers that are part of the kernel.
modprobe xen-pciback "hide=($card)"
same "the driver that came first" e1000e "$(driver)"
rmmod xen-pciback
