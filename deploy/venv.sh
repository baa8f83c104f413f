#!/bin/sh
# Make .venv with the given Python; on Debian install what is missing, and say so.
set -eu
python=${1:-python3}
if ! command -v "$python" >/dev/null 2>&1 || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Installing Debian's python3-venv, which is missing."
    sh "${0%/*}/apt.sh" python3 python3-venv || {
        echo "It could not be installed. Ask an administrator: apt-get install python3-venv" >&2
        exit 1
    }
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Phen needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2
    exit 1
}
exec "$python" -m venv .venv
