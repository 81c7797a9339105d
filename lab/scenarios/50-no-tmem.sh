#!/bin/sh
# what: without tmem the report says why, and --require-tmem exits 4
# needs: xtm:report no-tmem
exits 0 xtm report --format json
jq .tmem out
[ "$(jq -r .tmem.answer out)" != on ] || fail "tmem is said to be on"
exits 4 xtm report --require-tmem
cat err
