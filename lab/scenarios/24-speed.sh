#!/bin/sh
# what: a snapshot by hypercalls costs a twentieth of the xl source's at most
# timeout: 180
XTM_LIVE_SNAPSHOTS=3 live live TestSpeed
