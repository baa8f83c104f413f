#!/bin/sh
# The browser tests use Debian's Chromium; install it where it is missing, and say so.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
echo "Installing Debian's chromium, which the browser tests need."
if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi
$root apt-get update -qq && $root apt-get install -y -qq chromium fonts-dejavu-core >/dev/null || {
    echo "It could not be installed. Ask an administrator: apt-get install chromium" >&2
    exit 1
}
