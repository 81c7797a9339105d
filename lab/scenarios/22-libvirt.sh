#!/bin/sh
# what: the libvirt source shows Dom0 and the guest that libvirt made, with xl's figures
# needs: xtm:report libvirt
# timeout: 120
exits 0 xtm report --source libvirt --format json
table out >report
cat err
virsh -c xen:///system list
same "db1's number" "$(xl domid db1)" "$(value report db1 domid)"
between "db1: current" "$(xl list db1 | awk 'END { print $3 * 1024 }')" "$(xl list db1 | awk 'END { print ($3 + 1) * 1024 }')" "$(value report db1 current_kib)"
