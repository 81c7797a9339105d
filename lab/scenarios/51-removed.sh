#!/bin/sh
# what: on Xen 4.13 and later tmem is said to have been removed, with the version as evidence
# needs: xtm:report xen>=4.13
exits 0 xtm report --format json
same "tmem" removed "$(jq -r .tmem.answer out)"
jq -r .tmem.evidence out | grep -q "$(xl info | sed -n 's/^xen_version *: //p')" || fail "evidence: $(jq -r .tmem.evidence out)"
