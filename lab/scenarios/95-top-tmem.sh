#!/bin/sh
# what: with tmem, top shows what each guest has in tmem as xl tmem-list does, in lines and on a console
# needs: xtm:top tmem guest-tmem
# timeout: 400
load web1
xl tmem-list -l -a >tmem.before
exits 0 xtm top --batch --iterations 2 --delay 3s
mv out lines
xl tmem-list -l -a >tmem.after
cat err lines tmem.after
awk '$2 == "ID" { n++ } n == 2' lines | tr -d , >second
shown() { awk -v name="$1" -v n="$2" '$3 == name { print $n }' second; }
mib() { echo $((($(tmem_pages "$1" "$2" "$3") + 128) / 256)); }
for g in web1 db1 cache1 idle1; do
	id=$(xl domid $g)
	for kind in ephemeral:E:11 persistent:P:14; do
		column=${kind##*:} letter=${kind#*:}; letter=${letter%:*}
		grep -q "^P=CI:$id,.*,PT:$letter" tmem.after || continue
		between "$g: ${kind%%:*} MiB" "$(mib tmem.before $id $letter)" "$(mib tmem.after $id $letter)" "$(shown $g $column)"
	done
done
for word in 11:ephemeral 14:persistent; do
	[ "$(shown web1 ${word%:*})" -gt 0 ] || fail "web1 has no ${word#*:} pages"
done
for word in 12:hit-rate 15:acceptance; do
	awk -v x="$(shown web1 ${word%:*})" 'BEGIN { exit !(x > 0 && x <= 100) }' || fail "web1: ${word#*:} $(shown web1 ${word%:*})"
done
same "plain1, which has no tmem" "– –" "$(shown plain1 11) $(shown plain1 14)"
live live TestTop
unload web1
