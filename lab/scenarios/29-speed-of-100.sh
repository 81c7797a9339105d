#!/bin/sh
# what: the same of a hundred snapshots, a twentieth at most
# needs: nightly
# timeout: 1200
XTM_LIVE_SNAPSHOTS=100 live live TestSpeed
