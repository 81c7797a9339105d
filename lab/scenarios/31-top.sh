#!/bin/sh
# what: top's lines agree with xl and xentop on every domain, and a busy guest stands out
# needs: xtm:top
# timeout: 240
# look WHEN writes down what xentop shows as well, as name, processors, seconds and MiB.
look() { xentop -b -i 1 | awk 'NR > 1 && $1 != "NAME" { sub(/no limit/, "no-limit"); print $1, $9, int($3), int(($5 + 512) / 1024) }' >xentop.$1; }
guest idle1 'while [ ! -e /tmp/stop ]; do :; done >/dev/null 2>&1 &'
look before
exits 0 xtm top --batch --iterations 2 --delay 10s
mv out lines
look after
cat err lines
# The second reading, without what is set between thousands.
awk '$2 == "ID" { n++ } n == 2' lines | tr -d , >second
same "columns" "TIME ID NAME STATE VCPU CPU(s) CPU% MEM(M) MAX(M) GAVE(M) EPH(M) HIT% RD-AV/s PERS(M) ACC% WR-AV/s WHY" "$(head -n 1 second | tr -s ' ')"
# shown NAME N: the Nth word of a domain's line.
shown() { awk -v name="$1" -v n="$2" '$3 == name { print $n }' second; }

xl list >list
same "domains" "$(awk 'NR > 1 { print $2, $1 }' list | sort)" "$(awk 'NR > 1 { print $2, $3 }' second | sort)"
for d in $(awk 'NR > 1 { print $1 }' list); do
	same "$d: processors" "$(column xentop.after $d 2)" "$(shown $d 5)"
	between "$d: seconds of a processor" "$(column xentop.before $d 3)" "$(column xentop.after $d 3)" "$(shown $d 6)"
	between "$d: MiB" "$(column xentop.before $d 4)" "$(column xentop.after $d 4)" "$(shown $d 8)"
done
# What a processor gave it by the seconds, which are whole ones, of both readings.
near "idle1's share" "$(tr -d , <lines | awk '$3 == "idle1" { split($1, t, /[T:Z]/); now = t[2] * 3600 + t[3] * 60 + t[4]; if (n++) print 100 * ($6 - cpu) / (now - was); was = now; cpu = $6 }')" "$(shown idle1 7)" 20
awk -v busy="$(shown idle1 7)" 'NR > 1 && $3 != "Domain-0" && $3 != "idle1" && $7 / $5 >= busy { exit 1 }' second || fail "idle1 is busy and does not stand out"
guest idle1 'touch /tmp/stop'
