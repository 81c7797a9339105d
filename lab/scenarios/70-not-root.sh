#!/bin/sh
# what: without root report exits 5, says so, and does not hang
# needs: xtm:report
chmod 777 .
exits 5 setpriv --reuid 65534 --regid 65534 --clear-groups xtm report
cat err
grep -qi root err || fail "the refusal does not name root"
