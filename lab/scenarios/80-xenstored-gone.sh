#!/bin/sh
# what: xenstored's socket disappears, then the kernel's way to it too: a report with its gaps or a plain refusal, soon
# needs: xtm:report
# timeout: 240
back() {
	mv /run/xenstored/away /run/xenstored/socket
	umount /proc/xen/xenbus
	mv /dev/xen/away /dev/xen/xenbus
}
mv /run/xenstored/socket /run/xenstored/away
# The tools fall back on /dev/xen/xenbus.
got=0; timeout 120 xtm report --format json >one.json 2>one.err || got=$?
mv /dev/xen/xenbus /dev/xen/away
mount --bind /dev/null /proc/xen/xenbus
got2=0; timeout 120 xtm report --format json >two.json 2>two.err || got2=$?
back
cat one.err
same "without the socket: exit code" 0 $got
grep -q . one.json && jq -c '[.domains[].name], .gaps' one.json
cat two.err
case $got2 in
0) jq -e '.gaps | length > 0' two.json || fail "no gap says that xenstore is missing"; jq -c '[.domains[].name], .gaps' two.json ;;
1) grep -q '^error: ' two.err || fail "exit 1 without a reason" ;;
*) fail "without xenstore: exit code $got2" ;;
esac
await 30 xl list
