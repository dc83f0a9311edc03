#!/bin/sh
# Starts and stops a throw-away PostgreSQL with logical replication, on loopback, for the worked migration example.
#   postgres.sh start FOLDER PORT OWNER PASSWORD_FILE   makes a cluster in FOLDER (which must not exist) and starts
#                                         it; when the process OWNER is gone, however it ended, so is the server
#   postgres.sh stop FOLDER               stops it at once and removes FOLDER
# Exit code 3: the server's programs are not installed (apt-get install postgresql).
# PostgreSQL refuses to run as root, so root hands it to the user `postgres`, whom the package brings along.
set -eu

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$programs" ] && command -v initdb >/dev/null; then programs=$(dirname "$(command -v initdb)"); fi
[ -x "$programs/initdb" ] || { echo "PostgreSQL is not installed: apt-get install postgresql" >&2; exit 3; }

folder=$2
as_server() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

case $1 in
start)
    port=$3
    owner=$4
    mkdir -m 700 "$folder"
    cp "$5" "$folder/password"
    if [ "$(id -u)" = 0 ]; then chown -R postgres "$folder"; fi
    cd "$folder"
    as_server "$programs/initdb" -D "$folder/cluster" -U xisuan -A scram-sha-256 --pwfile="$folder/password" \
        -E UTF8 --locale=C.UTF-8 -N >"$folder/start.log" 2>&1 || { cat "$folder/start.log" >&2; exit 1; }
    rm "$folder/password"
    # An example needs no durability against power loss: it starts anew each time.
    as_server "$programs/pg_ctl" -D "$folder/cluster" -w -t 30 -l "$folder/server.log" start -o "-p $port \
        -c listen_addresses=127.0.0.1 -c fsync=off -c wal_level=logical -c max_connections=60 -c unix_socket_directories=''" \
        >>"$folder/start.log" 2>&1 || { cat "$folder/start.log" "$folder/server.log" >&2; exit 1; }
    setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    ;;
watch)
    cd /
    while kill -0 "$3" 2>/dev/null && [ -d "$folder" ]; do sleep 1; done
    if [ -d "$folder" ]; then exec "$0" stop "$folder"; fi
    ;;
stop)
    cd /
    as_server "$programs/pg_ctl" -D "$folder/cluster" -w -m immediate stop >/dev/null || true
    rm -rf "$folder"
    ;;
*)
    echo "usage: $0 start FOLDER PORT OWNER PASSWORD_FILE | stop FOLDER" >&2
    exit 2
    ;;
esac
