#!/bin/sh
# what: on Linux without Xen the periodic service does not fail, and its timer goes on
# needs: xtm:periodic
# boot: linux intel_iommu=on
# timeout: 180
systemd
field() { inside systemctl show "$1" --property "$2" --value; }
exits 0 inside xtm periodic install --yes
cat out err
exits 0 inside systemctl start xtm-periodic.service
inside systemctl status xtm-periodic.service xtm-periodic.timer || true
same "how it ended" "success 4" "$(field xtm-periodic.service Result) $(field xtm-periodic.service ExecMainStatus)"
same "units that failed" "" "$(inside systemctl list-units --failed --no-legend 'xtm*')"
same "the timer" active "$(field xtm-periodic.timer ActiveState)"
[ -n "$(field xtm-periodic.timer NextElapseUSecRealtime)" ] || fail "the timer does not go on"
exits 0 inside xtm periodic remove --yes
systemd_off
