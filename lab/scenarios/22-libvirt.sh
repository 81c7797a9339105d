#!/bin/sh
# what: the libvirt source agrees with hypercalls on Dom0 and the guest that libvirt made, but for differences that are explained
# needs: xtm:report libvirt
# timeout: 180
live live TestSourcesAgree/libvirt
live libvirt Live
exits 0 xtm report --source libvirt
cat out err
grep -q db1 out || fail "db1 is not in the report"
