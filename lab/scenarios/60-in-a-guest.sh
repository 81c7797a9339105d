#!/bin/sh
# what: in a guest report exits 4 and names status
# needs: xtm:report
for g in web1 db1; do
	got=0; guest $g "xtm report" >out 2>err || got=$?
	cat out err
	same "$g: exit code" 4 $got
	same "$g: nothing on stdout" 0 "$(stat -c %s out)"
	grep -q "xtm status" err || fail "$g: the refusal does not name xtm status"
done
