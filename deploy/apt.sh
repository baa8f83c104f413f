#!/bin/sh
# Install Debian packages. Another apt that is still at work is waited for, and a mirror that fails
# for a moment is asked again. Who may not install anything is told so at once.
set -eu
if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi
$root true || exit 1
for pause in 5 15 0; do
    if $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get install -o DPkg::Lock::Timeout=300 -y -qq "$@" >/dev/null; then
        exit 0
    fi
    sleep $pause
done
exit 1
