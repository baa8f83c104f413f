#!/bin/sh
# Voice messages are made anew with Debian's ffmpeg; install it where it is missing, and say so.
# Without it the line works as well: then no voice is taken or sent, and the desk says so.
set -eu
command -v ffmpeg >/dev/null 2>&1 && exit 0
echo "Installing Debian's ffmpeg, which voice messages need."
if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi
$root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends ffmpeg >/dev/null || {
    echo "It could not be installed: voice messages are off. Ask an administrator: apt-get install ffmpeg" >&2
    [ "${1:-}" != needed ] || exit 1
}
