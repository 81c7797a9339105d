#!/bin/sh
# what: the hypercall source agrees with the xl source on every domain and on the host to the MiB that xl knows
# needs: xtm:report
# timeout: 120
report() { exits 0 xtm report --source "$1" --format json; table out >"$2"; }
report xl before
report hypercall calls
report xl after
awk -F'\t' '$2 ~ /^(domid|uuid|current_kib|limit_kib|static_max_kib|target_kib)$/ { print $1, $2 }' before >compared
[ "$(grep -c . compared)" -ge 25 ] || fail "only $(grep -c . compared) figures to compare"
while read -r who key; do
	between "$who: $key" "$(value before $who $key)" "$(value after $who $key)" "$(value calls $who $key)"
done <compared
same "host: total, whole MiB" "$(($(value before host total_kib) / 1024))" "$(($(value calls host total_kib) / 1024))"
same "tmem" "$(value before report tmem.answer)" "$(value calls report tmem.answer)"
