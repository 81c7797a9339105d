# What the real conf does, as far as the tests need it: symbols that nothing
# defines go, two are computed. fault/dropped names symbols that go, too.
sed -i -E '/^# CONFIG_[A-Z0-9_]+ is not set$/!{/^CONFIG_/!d}' .config
defined=" $(grep -rhoE --include='Kconfig*' '^(menu)?config [A-Z0-9_]+' . | cut -d' ' -f2 | tr '\n' ' ') "
dropped=" $(cat fault/dropped 2>/dev/null) "
while read -r line; do
	name=$(echo "$line" | sed -E 's/^(# )?CONFIG_([A-Z0-9_]+).*/\2/')
	case $defined in *" $name "*) ;; *) continue ;; esac
	case $dropped in *" $name "*) continue ;; esac
	[ "$name" = XEN_TMEM ] && continue
	echo "$line"
done <.config >.config.new
case $defined in *" XEN_TMEM "*)
	if grep -qE '^CONFIG_(CLEANCACHE|FRONTSWAP)=y' .config.new; then echo CONFIG_XEN_TMEM=m >>.config.new; fi ;;
esac
cmp -s .config.new .config || cp .config.new .config
rm .config.new
