#!/bin/sh
# what: on a console of Linux top shows what hypercalls say, and answers its keys
# needs: xtm:top
# timeout: 180
live live TestTop
