#!/bin/sh
# what: a guest records itself
# needs: xtm:capture
guest web1 "xtm capture /tmp/guest.tar.gz"
guest web1 "cat /tmp/guest.tar.gz; rm /tmp/guest.tar.gz" >guest.tar.gz
tar tzf guest.tar.gz | grep -q meta.json || fail "no meta.json"
tar xzOf guest.tar.gz ./meta.json meta.json 2>/dev/null | jq -e '.role == "guest"' || fail "role"
