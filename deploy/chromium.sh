#!/bin/sh
# The browser tests use Debian's Chromium; install it where it is missing, and say so.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
echo "Installing Debian's chromium, which the browser tests need."
sh "${0%/*}/apt.sh" chromium fonts-dejavu-core || {
    echo "It could not be installed. Ask an administrator: apt-get install chromium" >&2
    exit 1
}
