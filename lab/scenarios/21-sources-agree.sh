#!/bin/sh
# what: hypercalls, xl and a capture of each agree on every field of a snapshot, but for differences that are explained
# timeout: 180
live live 'TestSourcesAgree/xl|TestCaptureGivesTheSame'
