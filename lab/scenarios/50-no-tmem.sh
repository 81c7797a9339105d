#!/bin/sh
# what: without tmem the report says which Xen this is and why there is none, and --require-tmem exits 4
# needs: xtm:report no-tmem
# timeout: 120
exits 4 xtm report --require-tmem --format json
cat err
jq .tmem out
case $(jq -r .tmem.answer out) in
removed | off | compiled_out) ;;
*) fail "the answer is $(jq -r .tmem.answer out)" ;;
esac
version=$(xl info | sed -n 's/^xen_version *: //p')
jq -r .tmem.evidence out | grep -qF "$version" || fail "the evidence does not name Xen $version"
