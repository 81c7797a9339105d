#!/bin/sh
# what: the report of a capture equals the live one, as a folder and as an archive
# needs: xtm:report xtm:capture
# timeout: 240
report() { exits 0 xtm report --source "$1" --format json; mv out "$2.json"; table "$2.json" >"$2"; }
report auto before
exits 0 xtm capture host
report auto after
# What somebody sends by mail.
tar czf host.tar.gz host
report host.tar.gz archive
report host folder
cat err
cmp archive.json folder.json || fail "the archive and the folder give two reports"
keys='domid uuid type current_kib limit_kib static_max_kib target_kib maximum_kib total_kib free_kib xens_own_kib dom0_kib guests_maximum_kib tmem.answer'
unmoved before folder after "$keys"
same "what could not be read" "$(grep 'gaps.*what' before)" "$(grep 'gaps.*what' folder)"
for format in table csv markdown; do
	exits 0 xtm report --source host --format $format
	mv out report.$format
	for d in web1 db1 cache1 idle1 plain1; do grep -q $d report.$format || fail "$format: no $d"; done
done
# It is the recording that is read: what the host does now does not show.
xl pause idle1
report host again
xl unpause idle1
cmp again.json folder.json || fail "a capture follows the live host"
# Nothing is overwritten.
got=0; xtm capture host >out 2>err || got=$?
[ $got != 0 ] || fail "a second capture wrote into the first"
cat err
