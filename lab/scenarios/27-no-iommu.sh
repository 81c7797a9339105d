#!/bin/sh
# what: where Xen uses no IOMMU, detect passthrough prints no lines and says why; nothing is touched
# needs: xtm:detect nightly
# boot: xen iommu=0
# timeout: 120
card=0000:03:00.0
depmod -a
modprobe e1000e
await 30 test -e /sys/bus/pci/devices/$card/driver
exits 3 xtm detect passthrough $card
cat out
grep -q 'iommu=0 is on the command line' out || fail "the reason is missing"
exits 3 xtm detect passthrough --force boot-disk --force group $card
exits 3 xtm detect passthrough --format json $card
same "lines" null "$(jq -r .commands out)"
same "the answer" no "$(jq -r '.devices[0].answer' out)"
! grep -q pci-assignable out || fail "a command is printed"
same "Dom0's driver" e1000e "$(basename "$(readlink /sys/bus/pci/devices/$card/driver)")"
[ ! -d /sys/bus/pci/drivers/pciback ] || fail "pciback was loaded"
exits 0 xtm detect
grep -q '^IOMMU .*offered, not used' out || { cat out; fail "detect says something else"; }
