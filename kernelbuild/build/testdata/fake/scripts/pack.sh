# Packs what a kernel build packs: real packages with next to nothing in them.
set -e
release=$1 version=$2 compressor=$3
top=$PWD/.. root=$PWD/pack
rm -rf "$root"
deb() { # name: the folder pack/name becomes a package
	mkdir -p "$root/$1/DEBIAN"
	printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: x <x@localhost>\nDescription: test\n' "$1" "$version" >"$root/$1/DEBIAN/control"
	dpkg-deb --root-owner-group "-Z$compressor" --build "$root/$1" "$top/$1_${version}_amd64.deb" >/dev/null
}
mkdir -p "$root/linux-image-$release/boot" "$root/linux-image-$release/lib/modules/$release/kernel/drivers/"{xen,block,net}
echo kernel >"$root/linux-image-$release/boot/vmlinuz-$release"
cp .config "$root/linux-image-$release/boot/config-$release"
modules=$root/linux-image-$release/lib/modules/$release/kernel/drivers
if grep -q CONFIG_XEN_TMEM=m .config && [ ! -f fault/no-module ]; then echo >"$modules/xen/tmem.ko"; fi
echo >"$modules/block/xen-blkfront.ko"
echo >"$modules/net/xen-netfront.ko"
mkdir -p "$root/linux-headers-$release/usr/src/linux-headers-$release" "$root/linux-libc-dev/usr/include"
for p in "linux-image-$release" "linux-headers-$release" linux-libc-dev; do
	[ -f "fault/no-$p" ] || deb "$p"
done
cd "$top"
{
	printf 'Format: 1.8\nSource: linux-%s\nChecksums-Sha256:\n' "$release"
	for f in *.deb; do printf ' %s %s %s\n' "$(sha256sum "$f" | cut -d' ' -f1)" "$(stat -c %s "$f")" "$f"; done
	if [ -f "$OLDPWD/fault/listed" ]; then cat "$OLDPWD/fault/listed"; fi
	printf 'Files:\n'
} >"linux-${release}_${version}_amd64.changes"
