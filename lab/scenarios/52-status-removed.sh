#!/bin/sh
# what: on Xen 4.13 and later status exits 4 and says why
# needs: xtm:status xen>=4.13
exits 4 xtm status
cat out err
grep -q '4\.13' out err || fail "status does not name the release that removed tmem"
