#!/bin/sh
# what: in a guest, guard proves that pages come back from the host
# needs: xtm:guard tmem guest-tmem
# timeout: 120
# It needs a file of 1 MiB to read twice.
guest web1 "dd if=/dev/zero of=/data/proof bs=1M count=2 2>/dev/null; sync"
got=0; guest web1 "xtm guard" >out 2>&1 || got=$?
cat out
same "exit code" 0 $got
