#!/bin/sh
# what: under a systemd the timer that periodic installs fires, and its hardened service reports what xtm does outside it
# needs: xtm:periodic
# timeout: 300
systemd
field() { inside systemctl show "$1" --property "$2" --value; }
exits 0 inside xtm periodic install --yes --every 1m --out /var/log/xtm
cat out err
report() { exits 0 xtm report --format json; mv out "$1.json"; table "$1.json" >"$1"; }
report before
fired() { [ "$(field xtm-periodic.service ExecMainExitTimestampMonotonic)" != 0 ] && [ "$(field xtm-periodic.service ActiveState)" = inactive ]; }
await 150 fired
report after
[ -n "$(field xtm-periodic.timer NextElapseUSecRealtime)" ] || fail "the timer does not go on"
inside systemctl stop xtm-periodic.timer
inside systemctl status xtm-periodic.service xtm-periodic.timer || true
same "how it ended" "success 0" "$(field xtm-periodic.service Result) $(field xtm-periodic.service ExecMainStatus)"
inside journalctl --no-pager --output cat --unit xtm-periodic.service | tee journal
grep -q '^Host: ' journal || fail "the five lines are not in the journal"
inside systemd-analyze security --no-pager xtm-periodic.service | tail -n 1

set -- /var/log/xtm/xtm-report-*.json
table "$1" >within
keys='domid uuid type current_kib limit_kib static_max_kib target_kib maximum_kib total_kib free_kib xens_own_kib dom0_kib guests_maximum_kib tmem.answer'
unmoved before within after "$keys"
same "source" "$(value before report source)" "$(value within report source)"
same "what could not be read" "$(grep 'gaps.*what' before)" "$(grep 'gaps.*what' within)"

exits 0 inside xtm periodic remove --yes
cat out err
same "the timer" inactive "$(field xtm-periodic.timer ActiveState)"
same "units that are left" "" "$(find /etc/systemd/system -name 'xtm*')"
ls /var/log/xtm
rm -r /var/log/xtm
systemd_off
