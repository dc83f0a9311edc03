#!/bin/sh
# Starts and stops a throw-away PostgreSQL of Debian's package `postgresql`, on loopback, for the tests.
#   postgres.sh start FOLDER PORT OWNER   makes a cluster in FOLDER (which must not exist) and starts it; when the
#                                         process OWNER is gone, however it ended, server and folder go too
#   postgres.sh stop FOLDER               stops it at once and removes FOLDER
# Exit code 3: the server's programs are not installed (apt-get install postgresql).
# PostgreSQL refuses to run as root, so root hands it to the user `postgres`, whom the package brings along.
set -eu

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "$programs/initdb" ] || { echo "PostgreSQL is not installed: apt-get install postgresql" >&2; exit 3; }

folder=$2
. "$(dirname "$0")/owner.sh"
as_server() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

case $1 in
start)
    port=$3
    owner=$4
    mkdir -m 700 "$folder"
    setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
    cd "$folder"
    as_server "$programs/initdb" -D "$folder/cluster" -U xisuan -A trust -E UTF8 --locale=C.UTF-8 -N >"$folder/start.log" 2>&1 \
        || { cat "$folder/start.log" >&2; exit 1; }
    # A test database needs no durability against power loss; what the tests prove is durability against kill -9.
    as_server "$programs/pg_ctl" -D "$folder/cluster" -w -t 30 -l "$folder/server.log" start \
        -o "-p $port -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=50 -c unix_socket_directories=''" >>"$folder/start.log" 2>&1 \
        || { cat "$folder/start.log" "$folder/server.log" >&2; exit 1; }
    ;;
watch)
    cd /
    wait_for_end "$3" "$folder"
    if [ -d "$folder" ]; then exec "$0" stop "$folder"; fi
    ;;
stop)
    cd /
    as_server "$programs/pg_ctl" -D "$folder/cluster" -w -m immediate stop >/dev/null || true
    rm -rf "$folder"
    ;;
*)
    echo "usage: $0 start FOLDER PORT OWNER | stop FOLDER" >&2
    exit 2
    ;;
esac
