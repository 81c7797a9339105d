#!/bin/sh
# what: a snapshot by hypercalls costs a fifth of the xl source's at most, whatever else the machine does
# timeout: 300
XTM_LIVE_SNAPSHOTS=5 XTM_LIVE_TIMES=5 live live TestSpeed
