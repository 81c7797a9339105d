#!/bin/sh
# what: detect shows the devices as lspci -tv does, VT-d as Xen does, and computes the groups that Linux makes of this machine
# needs: xtm:detect
# timeout: 120
lspci -tv >tree.lspci
exits 0 xtm detect --format lspci-tree
mv out tree.xtm
diff tree.lspci tree.xtm || fail "the trees differ"
exits 0 xtm detect --format json
mv out detect.json
same "the IOMMU" on "$(jq -r .iommu.state detect.json)"
xl info | grep -q "^virt_caps.*directio" || fail "Xen itself says something else: $(xl info)"
same "the firmware's table" RMAD "$(jq -r .iommu.dmar.header.signature detect.json)"
same "the groups are" computed "$(jq -r .groups_by detect.json)"
jq -r '.groups[] | .members | join(" ")' detect.json | sort >groups
diff /lab/scenarios/groups groups || fail "not the groups that Linux makes (28-groups.sh)"
exits 0 xtm detect
cat out
exits 0 xtm detect passthrough
cat out
