#!/bin/sh
# what: with tmem the report agrees with xl tmem-list on what each guest has in tmem
# needs: xtm:report tmem guest-tmem
# timeout: 300
load web1
load db1
# They go on swapping for minutes: all stand still while they are looked at.
each() { for g in web1 db1 cache1 idle1; do "$@" $g; done; }
trap 'each xl unpause' EXIT
each xl pause
xl tmem-list -l -a >tmem.before
exits 0 xtm report --source xl --format json --require-tmem
mv out report.json
table report.json >report
xl tmem-list -l -a >tmem.after
each xl unpause
trap - EXIT
cat err tmem.after
same "tmem" on "$(value report report tmem.answer)"
for g in web1 db1 cache1 idle1; do
	id=$(xl domid $g)
	grep "^P=CI:$id," tmem.after || continue
	for kind in ephemeral:E persistent:P; do
		grep -q "^P=CI:$id,.*,PT:${kind#*:}" tmem.after || continue
		between "$g: ${kind%:*} pages" "$(tmem_pages tmem.before $id ${kind#*:})" "$(tmem_pages tmem.after $id ${kind#*:})" "$(value report $g tmem.${kind%:*}.pages)"
	done
done
unload web1
unload db1
