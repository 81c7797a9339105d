#!/bin/sh
# what: the report of a capture equals the live one, as a folder and as an archive
# needs: xtm:report xtm:capture
# timeout: 240
live() { exits 0 xtm report --source xl --format json; mv out $1.json; }
live before
exits 0 xtm capture host
live after
# What somebody sends by mail.
tar czf host.tar.gz host
for c in host host.tar.gz; do
	exits 0 xtm report --source $c --format json
	mv out $c.json
	cat err
	exits 0 xtm report --source $c --format json
	cmp out $c.json || fail "two reports of one capture differ"
	for d in $(jq -r '.domains[].name' before.json); do
		for key in domid uuid type current_kib limit_kib static_max_kib target_kib maximum_kib; do
			between "$c: $d: $key" "$(domain before.json $d $key)" "$(domain after.json $d $key)" "$(domain $c.json $d $key)"
		done
	done
	for key in total_kib free_kib xens_own_kib dom0_kib guests_maximum_kib; do
		between "$c: $key" "$(jq -r .host.$key before.json)" "$(jq -r .host.$key after.json)" "$(jq -r .host.$key $c.json)"
	done
	same "$c: tmem" "$(jq -c .tmem.answer before.json)" "$(jq -c .tmem.answer $c.json)"
	same "$c: findings" "$(jq -c '[.findings[].id // .findings[].title] | unique' before.json)" "$(jq -c '[.findings[].id // .findings[].title] | unique' $c.json)"
	same "$c: what could not be read" "$(jq -c '[.gaps[]?.what] | sort' before.json)" "$(jq -c '[.gaps[]?.what] | sort' $c.json)"
done
for format in table csv markdown; do
	exits 0 xtm report --source host --format $format
	mv out report.$format
	for d in $(jq -r '.domains[].name' host.json); do grep -q "$d" report.$format || fail "$format: no $d"; done
done
# It is the recording that is read: what the host does now does not show.
xl pause idle1
exits 0 xtm report --source host --format json
cmp out host.json || fail "a capture follows the live host"
xl unpause idle1
# Nothing is overwritten.
exits 1 xtm capture host
