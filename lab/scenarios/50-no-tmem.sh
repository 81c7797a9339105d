#!/bin/sh
# what: without tmem the report says which Xen this is and why there is none, and --require-tmem exits 4
# needs: xtm:report no-tmem
# timeout: 120
exits 4 xtm report --require-tmem --format json
cat err
table out >report
grep 'tmem\.' report
case $(value report report tmem.answer) in
removed | off | compiled_out) ;;
*) fail "the answer is $(value report report tmem.answer)" ;;
esac
version=$(xl info | sed -n 's/^xen_version *: //p')
value report report tmem.evidence | grep -qF "$version" || fail "the evidence does not name Xen $version"
