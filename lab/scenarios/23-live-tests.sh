#!/bin/sh
# what: the tests of the hypercall and xenstore packages that need a real Xen
# timeout: 180
live xenstore Live
live hypercall Live
