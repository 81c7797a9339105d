#!/bin/sh
# what: without root report exits 5, says so, and does not hang
# needs: xtm:report
exits 5 su -s /bin/sh nobody -c "xtm report"
cat err
grep -qi root err || fail "the refusal does not name root"
