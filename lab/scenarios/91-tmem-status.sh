#!/bin/sh
# what: with tmem, status neither in Dom0 nor in a guest says that this machine cannot have it
# needs: xtm:status tmem guest-tmem
# timeout: 120
got=0; xtm status >dom0 2>&1 || got=$?
cat dom0
echo "exit $got"
case $got in 0 | 3) ;; *) fail "in Dom0: exit $got" ;; esac
got=0; guest web1 "xtm status" >web1 2>&1 || got=$?
cat web1
echo "exit $got"
case $got in 0 | 3) ;; *) fail "in web1: exit $got" ;; esac
