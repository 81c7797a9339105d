#!/bin/sh
# what: the host is what the lab says it is: guests with and without swap, all of them answer
xl list
for g in db1 idle1 plain1; do
	same "$g's name" "lab.name=$g" "$(guest $g "grep -o 'lab.name=[a-z0-9]*' /proc/cmdline")"
done
same "swaps of cache1" 0 "$(guest cache1 "grep -c xvdb /proc/swaps" || true)"
got=0; guest web1 "grep -c xvdb /proc/swaps; echo to stderr >&2; exit 7" >out 2>err || got=$?
same "swaps of web1" 1 "$(cat out)"
same "a guest's stderr" "to stderr" "$(cat err)"
same "a guest's exit code" 7 "$got"
guest idle1 dmesg >idle1.dmesg
