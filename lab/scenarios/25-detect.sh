#!/bin/sh
# what: detect shows the devices as lspci -tv does, and VT-d as Xen's boot messages do
# needs: xtm:detect
# timeout: 120
lspci -tv >tree.lspci
exits 0 xtm detect --format lspci-tree
mv out tree.xtm
diff tree.lspci tree.xtm || fail "the trees differ"
exits 0 xtm detect --format json
mv out detect.json
xl dmesg | grep -i 'I/O virtualisation' || true
exits 0 xtm detect
cat out
