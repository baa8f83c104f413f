#!/bin/sh
# Voice messages are made anew with Debian's ffmpeg; install it where it is missing, and say so.
# Without it the line works as well: then no voice is taken or sent, and the desk says so.
set -eu
command -v ffmpeg >/dev/null 2>&1 && exit 0
echo "Installing Debian's ffmpeg, which voice messages need."
sh "${0%/*}/apt.sh" --no-install-recommends ffmpeg || {
    echo "It could not be installed: voice messages are off. Ask an administrator: apt-get install ffmpeg" >&2
    [ "${1:-}" != needed ] || exit 1
}
