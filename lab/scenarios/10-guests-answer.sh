#!/bin/sh
# what: the host is what the lab says it is: five guests that answer, one of them libvirt's
xl list
for g in web1 db1 cache1 idle1 plain1; do
	same "$g's name" "lab.name=$g" "$(guest $g "grep -o 'lab.name=[a-z0-9]*' /proc/cmdline")"
done
same "swap of web1" 1 "$(guest web1 "grep -c xvdb /proc/swaps")"
same "swap of cache1" 1 "$(guest cache1 "wc -l </proc/swaps")"
got=0; guest web1 "echo to stderr >&2; exit 7" 2>err || got=$?
same "a guest's exit code" 7 "$got"
same "a guest's stderr" "to stderr" "$(cat err)"
