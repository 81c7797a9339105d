#!/bin/sh
# what: a guest is paused, one is ballooned with xl mem-set, one is destroyed while a report with --interval runs
# needs: xtm:report
# timeout: 240
old=$(xl domid plain1)
xtm report --format json --interval 25s >out 2>err &
report=$!
sleep 12
xl pause idle1
xl mem-set web1 208
xl destroy plain1
got=0; wait $report || got=$?
cat err
same "exit code" 0 $got
same "idle1 is paused" true "$(domain out idle1 state.paused)"
same "web1's target" $((208 * 1024)) "$(domain out web1 target_kib)"
[ "$(domain out web1 current_kib)" -lt $((250 * 1024)) ] || fail "web1 did not balloon down: $(domain out web1 current_kib)"
same "plain1 is gone" "" "$(domain out plain1 name)"
[ "$(jq '.interval_ns' out)" -ge 25000000000 ] || fail "interval: $(jq .interval_ns out)"

xl unpause idle1
xl mem-set web1 256
xl create /lab/guest/plain1.cfg
[ "$(xl domid plain1)" != "$old" ] || fail "plain1 has its old number"
exits 0 xtm report --format json
same "plain1's new number" "$(xl domid plain1)" "$(domain out plain1 domid)"
same "idle1 runs again" absent "$(domain out idle1 state.paused)"
