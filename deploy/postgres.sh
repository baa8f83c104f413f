#!/bin/sh
# The tests start a throw-away PostgreSQL; install Debian's where it is missing, and say so.
# It installs no server that runs: Debian's own cluster is neither made nor started.
set -eu
for initdb in /usr/lib/postgresql/*/bin/initdb; do
    [ ! -x "$initdb" ] || exit 0
done
! command -v initdb >/dev/null 2>&1 || exit 0
echo "Installing Debian's postgresql, which the tests of several processes need."
if [ "$(id -u)" = 0 ]; then root=; else root=sudo; fi
own=/etc/postgresql-common/createcluster.conf
{
    [ -e $own ] || {
        $root mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | $root tee $own >/dev/null
    }
    # Our setting is there before the package that asks what to do with it: it is to be kept.
    sh "${0%/*}/apt.sh" --no-install-recommends -o Dpkg::Options::=--force-confold postgresql
} || {
    echo "It could not be installed. Ask an administrator: apt-get install postgresql" >&2
    exit 1
}
