#!/bin/sh
# what: a guest boots the kernel of a package that xtm built, and modprobe tmem turns on cleancache and frontswap
# needs: xtm:kernel tmem guest-package
# timeout: 120
read -r release </lab/guest/release
same "release" "$release" "$(guest plain1 'uname -r')"
# The one guest that has not loaded it. What modprobe needs is otherwise in the
# guest's own root.
guest plain1 'd=/lib/modules/$(uname -r); mkdir -p $d && cp /modules/*-tmem.ko $d/tmem.ko && depmod && modprobe tmem && lsmod' >lsmod || fail "modprobe tmem"
grep -q '^tmem ' lsmod || fail "tmem is not loaded"
guest plain1 dmesg >dmesg
grep tmem dmesg || true
for what in cleancache frontswap; do
	grep -q "$what enabled, RAM provided by Xen Transcendent Memory" dmesg || fail "no $what"
	echo "ok: $what enabled"
done
