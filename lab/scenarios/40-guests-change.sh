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
mv out report.json
table report.json >report
same "exit code" 0 $got
same "idle1 is paused" true "$(value report idle1 state.paused)"
same "web1's target" $((208 * 1024)) "$(value report web1 target_kib)"
[ "$(value report web1 current_kib)" -lt $((250 * 1024)) ] || fail "web1 did not balloon down: $(value report web1 current_kib)"
same "plain1 is gone" absent "$(value report plain1 name)"
[ "$(value report report interval_ns)" -ge 25000000000 ] || fail "interval: $(value report report interval_ns)"

xl unpause idle1
xl mem-set web1 256
create plain1
[ "$(xl domid plain1)" != "$old" ] || fail "plain1 has its old number"
exits 0 xtm report --format json
table out >report
same "plain1's new number" "$(xl domid plain1)" "$(value report plain1 domid)"
same "idle1 runs again" absent "$(value report idle1 state.paused)"
