#!/bin/sh
# what: on Linux without Xen report and enable-tmem exit 4 and say so
# needs: xtm:report xtm:enable-tmem
# boot: linux intel_iommu=on
exits 4 xtm report
cat err
grep -qi 'not a xen host' err || fail "the refusal does not say that this is not Xen"
exits 4 xtm enable-tmem --yes
cat out err
