#!/bin/sh
# what: on the same machine without Xen the kernel makes the groups that detect computes
# needs: xtm:detect
# boot: linux intel_iommu=on
# timeout: 120
exits 0 xtm detect --format json
mv out detect.json
same "the groups are" kernel "$(jq -r .groups_by detect.json)"
jq -r '.groups[] | .members | join(" ")' detect.json | sort >kernel
for g in /sys/kernel/iommu_groups/*/devices; do (cd "$g" && echo *); done | sort | diff - kernel || fail "these are not the kernel's"

# The same files without the kernel's groups.
mkdir -p copy/sys/bus/pci/devices
for d in /sys/bus/pci/devices/*; do
	at=copy$(readlink -f "$d")
	mkdir -p "$at"
	for f in vendor device class revision config; do cat "$d/$f" >"$at/$f"; done
	ln -s "$(readlink "$d")" copy/sys/bus/pci/devices/
done
exits 0 xtm detect --root copy --format json
same "these are" computed "$(jq -r .groups_by out)"
jq -r '.groups[] | .members | join(" ")' out | sort >computed
diff kernel computed || fail "the computed groups differ from the kernel's"
wc -l <kernel
diff /lab/scenarios/groups kernel || fail "25-detect.sh compares with others"
