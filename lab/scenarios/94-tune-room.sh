#!/bin/sh
# what: with tmem, tune flushes what it says, makes room for a new guest and starts it, advises, and sets a guest's tunables
# needs: xtm:tune tmem guest-tmem
# timeout: 400
for g in web1 cache1; do
	guest $g 'dd if=/dev/zero of=/data/f bs=1M count=120 2>/dev/null; for i in 1 2; do cat /data/f >/dev/null; done; dd if=/dev/zero of=/data/g bs=1M count=40 2>/dev/null; cat /data/g >/dev/null' || fail "load in $g"
done
xl tmem-list -l -a | sed 's/,Oc.*//' | head -n 3
ephemeral() { xl tmem-list -l -a | sed -n 's/^G=.*,Ec:\([0-9]*\),.*/\1/p'; }
free() { xl info >info.now; info info.now free_memory; }
was=$(ephemeral); before=$(free)
[ "$was" -gt 4096 ] || fail "tmem holds $was pages only"
exits 0 xtm tune flush 16
cat err
is=$(ephemeral); after=$(free)
echo "ephemeral $was -> $is pages, free $before -> $after MiB"
# Guests go on putting pages meanwhile, so that tmem holds more again at once.
[ "$is" -lt "$was" ] || fail "flush 16 took nothing"
[ $((after - before)) -ge 14 ] || fail "flush 16 freed $((after - before)) MiB"

# Claims find the memory by themselves here; without them xtm does it.
exits 0 xtm tune make-room --dry-run 32MiB
cat out err
xl destroy plain1
conf=/etc/xen/xl.conf
cp $conf conf.was 2>/dev/null || : >conf.was
echo 'claim_mode=0' >>$conf
size=$(($(free) + 8))
exits 0 xtm tune make-room --start /lab/guest/plain1.cfg $size
cat out err
cp conf.was $conf
grep -q 'is frozen' err || fail "nobody was frozen"
grep -q 'is created' err || fail "plain1 was not created"
[ "$(xl domid plain1)" -gt 0 ]
xl tmem-list -a | grep '^C=.*fr:1' && fail "a domain stays frozen"
ls /var/lib/xtm/frozen

exits 0 xtm tune advise --interval 5s
cat out

guest web1 'xtm tune guest show' >guest.show || fail "tune guest show in web1"
cat guest.show
guest web1 'xtm tune guest set --no-persist selfballoon_interval=9; cat /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballoon_interval' >guest.set || fail "tune guest set"
same "interval" 9 "$(tail -n 1 guest.set)"
guest web1 'xtm tune guest undo; cat /sys/devices/system/xen_memory/xen_memory0/selfballoon/selfballoon_interval' >guest.undo || fail "tune guest undo"
same "interval undone" 5 "$(tail -n 1 guest.undo)"
