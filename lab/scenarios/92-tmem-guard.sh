#!/bin/sh
# what: in a guest, guard proves that pages come back from the host
# needs: xtm:guard tmem guest-tmem
# timeout: 120
got=0; guest idle1 "xtm guard" >out 2>&1 || got=$?
cat out
echo "exit $got"
same "exit code" 0 $got
