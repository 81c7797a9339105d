#!/bin/sh
# what: with tmem the report agrees with xl tmem-list on what each guest has in tmem
# needs: xtm:report tmem guest-tmem
# timeout: 300
# Files through the page cache and more memory than there is, so that both
# kinds of pool fill.
for g in web1 db1; do
	guest $g 'dd if=/dev/zero of=/data/f bs=1M count=150 2>/dev/null; for i in 1 2; do cat /data/f >/dev/null; done; mount -o remount,size=300M /tmp; dd if=/dev/zero of=/tmp/big bs=1M count=200 2>/dev/null; cat /tmp/big >/dev/null; rm /tmp/big; cat /proc/swaps; free' || fail "load in $g"
done
xl tmem-list -l -a >tmem.before
exits 0 xtm report --source xl --format json --require-tmem
mv out report.json
table report.json >report
xl tmem-list -l -a >tmem.after
cat err tmem.after
same "tmem" on "$(value report report tmem.answer)"
# pages FILE DOMID E|P: the sum over a domain's pools of one kind.
pages() { awk -v ci="P=CI:$2," -v pt=",PT:$3" 'index($0, ci) == 1 && index($0, pt) { if (match($0, /,Pc:[0-9]+/)) s += substr($0, RSTART + 4, RLENGTH - 4) } END { print s + 0 }' "$1"; }
for g in web1 db1 cache1 idle1; do
	id=$(xl domid $g)
	grep "^P=CI:$id," tmem.after || continue
	for kind in ephemeral:E persistent:P; do
		grep -q "^P=CI:$id,.*,PT:${kind#*:}" tmem.after || continue
		between "$g: ${kind%:*} pages" "$(pages tmem.before $id ${kind#*:})" "$(pages tmem.after $id ${kind#*:})" "$(value report $g tmem.${kind%:*}.pages)"
	done
done
