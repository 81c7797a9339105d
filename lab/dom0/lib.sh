# What scenarios have at hand. They run under sh -eu in a folder of their own,
# whose files are kept.

fail() { echo "FAIL: $*"; exit 1; }

# same WHAT WANT GOT
same() { [ "$2" = "$3" ] || fail "$1: want $2, got $3"; echo "ok: $1 = $2"; }

# near WHAT WANT GOT STEP: equal but for less than STEP.
near() {
	awk -v a="$2" -v b="$3" -v s="$4" 'BEGIN { d = a - b; exit !(d < s && -d < s) }' || fail "$1: want $2 (to $4), got $3"
	echo "ok: $1 = $2 (to $4)"
}

# exits CODE COMMAND...: the command ends with that code; its output is in the
# files out and err.
exits() {
	want=$1; shift
	got=0; "$@" >out 2>err || got=$?
	[ "$got" = "$want" ] || { cat out err; fail "$*: want exit $want, got $got"; }
	echo "ok: $* exits $want"
}

now() { read -r up _ </proc/uptime; echo "${up%.*}"; }

# await SECONDS COMMAND...
await() {
	end=$(($(now) + $1 * ${LAB_SLOW:-1})); shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now)" -lt $end ] || fail "waited for: $*"
		sleep 0.5
	done
}

# create NAME: one of the lab's guests, by virsh where it is libvirt's and
# libvirt works: with the one Xen that it was built for.
create() {
	cfg=/lab/guest/$1.cfg xml=/lab/guest/$1.xml
	if [ -f "$xml" ] && ls /usr/lib/*/libxenlight.so."$(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor)"* >/dev/null 2>&1; then
		await 60 virsh -c xen:///system list
		set -- virsh -c xen:///system create "$xml"
	else
		set -- xl create "$cfg"
	fi
	# libxl gives a device ten seconds, on a busy machine too.
	"$@" || "$@" || "$@"
}

# up NAME: whether that guest answers by now.
up() { grep -q LAB-READY "/var/log/xen/console/guest-$1.log"; }

# guest NAME COMMAND: runs it in that guest; output and exit code are its own.
guest() { /lab/lab guest "$@"; }

# between WHAT A B GOT: got is A, B or a number between them. A guest's memory
# moves, so what xtm says is held against the toolstack before and after it.
between() {
	[ "$4" = "$2" ] || [ "$4" = "$3" ] ||
		awk -v a="$2" -v b="$3" -v x="$4" 'BEGIN { exit !(x ~ /^[0-9.]+$/ && (x - a) * (x - b) <= 0) }' ||
		fail "$1: want $2 or $3 or between them, got $4"
	echo "ok: $1 = $4"
}

# unmoved BEFORE GOT AFTER KEYS: of these tables the rows with those keys, as
# between. It says how many there are.
unmoved() {
	awk -F'\t' -v keys="$4" '
		BEGIN { n = split(keys, k, " "); for (i = 1; i <= n; i++) want[k[i]] = 1 }
		FNR == 1 { file++ }
		$2 in want { v[file, $1 " " $2] = $3; if (file == 1) rows[$1 " " $2] = 1 }
		function get(f, r) { return ((f, r) in v) ? v[f, r] : "absent" }
		END {
			for (r in rows) {
				a = get(1, r); x = get(2, r); b = get(3, r); compared++
				if (x == a || x == b || x ~ /^[0-9.]+$/ && (x - a) * (x - b) <= 0) continue
				print "FAIL: " r ": want " a " or " b " or between them, got " x; bad = 1
			}
			print "ok: " compared " figures"
			exit bad || compared < 25
		}' "$1" "$2" "$3" || fail "$2 is not between $1 and $3"
}

# column TABLE NAME N: the Nth word of the row whose first word is NAME.
column() { awk -v name="$2" -v n="$3" '$1 == name { print $n; exit }' "$1"; }

# info FILE KEY: a line of xl info.
info() { sed -n "s/^$2 *: //p" "$1"; }

# table FILE: a report in JSON as lines "web1 <tab> current_kib <tab> 262144", with
# "host" for the machine's own and "report" for the rest. jq takes a second to
# start here, so it is asked once.
table() {
	jq -r '
		def rows($who): paths(scalars) as $p | [$who, ($p | map(tostring) | join(".")), getpath($p)];
		(.host | rows("host")), (del(.host, .domains) | rows("report")), (.domains[] | rows(.name))
		| @tsv' "$1"
}

# value TABLE WHO KEY: "absent" where there is none.
value() { awk -F'\t' -v who="$2" -v key="$3" '$1 == who && $2 == key { print $3; found = 1; exit } END { if (!found) print "absent" }' "$1"; }

# seconds: of a time as xl uptime writes it, "0:03:14" or "2 days, 0:03:14".
seconds() { awk '{ n = split($NF, t, ":"); d = ($0 ~ /day/) ? $1 : 0; print d * 86400 + t[n-2] * 3600 + t[n-1] * 60 + t[n] }'; }

# load NAME: that guest reads a file again and again and holds more memory than it
# has, so that both kinds of its pools fill; unload ends it.
load() {
	guest "$1" 'dd if=/dev/zero of=/data/f bs=1M count=150 2>/dev/null; for i in 1 2; do cat /data/f >/dev/null; done; mount -o remount,size=300M /tmp; dd if=/dev/zero of=/tmp/big bs=1M count=200 2>/dev/null; cat /tmp/big >/dev/null; cat /proc/swaps; free' || fail "load in $1"
}
unload() { guest "$1" 'rm /tmp/big /data/f'; }

# tmem_pages FILE DOMID E|P: of what xl tmem-list -l -a printed, the pages in a
# domain's pools of one kind.
tmem_pages() { awk -v ci="P=CI:$2," -v pt=",PT:$3" 'index($0, ci) == 1 && index($0, pt) { if (match($0, /,Pc:[0-9]+/)) s += substr($0, RSTART + 4, RLENGTH - 4) } END { print s + 0 }' "$1"; }

# systemd: starts one as process 1 of processes and mounts of its own, beside the
# lab's init; Xen, its daemons and the root file system are the lab's. inside
# COMMAND... runs beside it, and systemd_off ends it.
systemd() {
	[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
	cat >systemd.sh <<-'END'
		[ -e /sys/hypervisor/version ] && mount -t xenfs xenfs /proc/xen
		was=$(mktemp -d)
		mount --bind /run "$was"
		mount -t tmpfs run /run
		for d in lock xen xenstored; do
			mkdir /run/$d
			[ ! -d "$was/$d" ] || mount --bind "$was/$d" /run/$d
		done
		umount "$was"
		exec env -i container=lab PATH="$PATH" /lib/systemd/systemd --unit=timers.target --show-status=no
	END
	unshare -m -p -f --mount-proc sh -eu systemd.sh >systemd.log 2>&1 &
	unshare=$!
	await 30 grep . /proc/$unshare/task/$unshare/children
	init=$(tr -d ' ' </proc/$unshare/task/$unshare/children)
	await 90 inside systemctl --quiet is-active timers.target
}
inside() { nsenter -t "$init" -m -p "$@"; }
systemd_off() { kill -KILL "$init"; wait $unshare || true; }

# live PACKAGE TESTS: those of the package's tests, which need a real Xen.
live() {
	test=/lab/live/$1.test; shift
	"$test" -test.v -test.run "$@" >live.out 2>&1 || { cat live.out; fail "$test $*"; }
	cat live.out
}
