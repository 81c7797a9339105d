#!/bin/sh
# what: the report agrees with xl, xentop and xenstore on every figure that they share
# needs: xtm:report
# timeout: 180
look() {
	xl list -v >list.$1
	xl info >info.$1
	xl uptime >uptime.$1
	# A domain that runs at the moment is "-----r" for xentop.
	xentop -b -i 1 | sed 's/no limit/unlimited/' >xentop.$1
}
look before
exits 0 xtm report --source xl --format json
mv out report.json
table report.json >report
look after
cat err

host() { value report host "$1"; }
for key in total:total_memory free:free_memory; do
	before=$(($(info info.before ${key#*:}) * 1024)) after=$(($(info info.after ${key#*:}) * 1024))
	between "host ${key%:*}" $before $after "$(host ${key%:*}_kib)"
done
same "Xen's version" "$(info info.before xen_version)" "$(host xen.major).$(host xen.minor)$(host xen.extra)"
same "Dom0's kernel" "$(uname -r)" "$(host dom0_release)"
same "host name" "$(hostname)" "$(host name)"

same "domains" "$(awk 'NR > 1 { print $1 }' list.after | sort | tr '\n' ' ')" "$(awk '$2 == "name" && $1 != "host" { print $3 }' report | sort | tr '\n' ' ')"
for d in $(awk 'NR > 1 { print $1 }' list.after); do
	id=$(column list.after $d 2)
	same "$d: number" "$id" "$(value report $d domid)"
	same "$d: uuid" "$(column list.after $d 7)" "$(value report $d uuid)"
	between "$d: current" "$(column xentop.before $d 5)" "$(column xentop.after $d 5)" "$(value report $d current_kib)"
	between "$d: xl's whole MiB" "$(column list.before $d 3)" "$(column list.after $d 3)" "$(($(value report $d current_kib) / 1024))"
	limit=$(column xentop.after $d 7)
	if [ "$limit" = unlimited ]; then
		same "$d: unlimited" true "$(value report $d unlimited)"
	else
		between "$d: limit" "$(column xentop.before $d 7)" "$limit" "$(value report $d limit_kib)"
	fi
	for key in static-max:static_max_kib target:target_kib; do
		want=$(xenstore-read "/local/domain/$id/memory/${key%:*}" 2>/dev/null) || continue
		same "$d: ${key%:*}" "$want" "$(value report $d ${key#*:})"
	done
	between "$d: uptime" "$(grep "^$d " uptime.before | cut -c42- | seconds)" "$(grep "^$d " uptime.after | cut -c42- | seconds)" \
		"$(($(value report $d uptime_ns) / 1000000000))"
	case $(column list.after $d 5) in *p*) paused=true ;; *) paused=absent ;; esac
	same "$d: paused" $paused "$(value report $d state.paused)"
done
# The bands add up to the host's memory.
sum=0
for band in xens_own dom0 guests_current ephemeral tmem_free_list free; do
	kib=$(host ${band}_kib)
	[ "$kib" = absent ] || sum=$((sum + kib))
done
same "the bands' sum" "$(host total_kib)" $sum
