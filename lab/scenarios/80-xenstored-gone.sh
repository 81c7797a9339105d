#!/bin/sh
# what: xenstored's socket disappears: a report all the same, or a plain refusal, in bounded time
# needs: xtm:report
# timeout: 240
trap 'mv /run/xenstored/away /run/xenstored/socket' EXIT
mv /run/xenstored/socket /run/xenstored/away
begin=$(now)
exits 0 xtm report --format json
cat err
jq -c .gaps out
[ $(($(now) - begin)) -lt 120 ] || fail "took $(($(now) - begin)) s"
same "domains" 5 "$(jq '.domains | length' out)"
