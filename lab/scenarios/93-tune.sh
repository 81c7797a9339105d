#!/bin/sh
# what: with tmem, tune sets, freezes, thaws and flushes by hypercall and by xl; xl tmem-list shows it; nothing stays frozen after a kill -9
# needs: xtm:tune tmem guest-tmem
# timeout: 400
id=$(xl domid web1)
# field KEY: of web1's line, as Xen lists it.
field() { xl tmem-list "$id" | sed -n "s/^C=CI:$id,.*\\b$1:\\(-*[0-9]*\\).*/\\1/p"; }
frozen() { [ "$(field fr)" = "$1" ]; }
weight=7
for way in hypercall xl; do
	echo "by $way"
	exits 0 xtm tune set --via $way web1 weight=$weight compress=on
	cat out err
	same "weight" $weight "$(field ww)"
	same "compress" 1 "$(field co)"
	undo=$(sed -n 's/.*xtm tune apply //p' err)
	exits 0 xtm tune apply --via $way "$undo"
	same "weight undone" 0 "$(field ww)"
	same "compress undone" 0 "$(field co)"
	xl tmem-list -a | grep '^C=CI' | grep -v "^C=CI:$id," | grep -v 'ww:0,co:0,fr:0' && fail "another domain was touched"
	weight=9

	# Frozen in the foreground, ended by a signal.
	xtm tune freeze --via $way --for 10m web1 2>freeze &
	pid=$!
	await 60 frozen 1
	kill -TERM $pid
	got=0; wait $pid || got=$?
	cat freeze
	same "interrupted" 130 $got
	same "thawed" 0 "$(field fr)"

	# Killed: it stays frozen until the next run.
	xtm tune freeze --via $way --for 10m web1 2>freeze &
	pid=$!
	await 60 frozen 1
	kill -KILL $pid
	wait $pid || true
	same "killed, and frozen" 1 "$(field fr)"
	exits 0 xtm tune thaw --via $way --overdue
	cat err
	same "the next run thaws" 0 "$(field fr)"
done
exits 1 xtm tune set plain1 weight=1
cat err
exits 1 xtm tune freeze Domain-0
exits 0 xtm tune show
cat out err
