#!/bin/sh
# what: on Xen 4.13 and later enable-tmem refuses with 4 and changes nothing
# needs: xtm:enable-tmem xen>=4.13
mkdir -p /etc/default
[ -f /etc/default/grub ] || echo 'GRUB_CMDLINE_XEN_DEFAULT=""' >/etc/default/grub
before=$(find /etc /boot -type f -exec md5sum {} +)
exits 4 xtm enable-tmem --yes
cat out err
grep -q '4\.13' out err || fail "enable-tmem does not name the release that removed tmem"
same "files of /etc and /boot" "$before" "$(find /etc /boot -type f -exec md5sum {} +)"
