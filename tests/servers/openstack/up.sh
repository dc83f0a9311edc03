#!/bin/sh
# Starts and stops a throw-away OpenStack on loopback: Keystone, Placement, Glance and Nova with its fake driver.
#   up.sh python                    the Python that has the services; installed into the cache once, with the databases
#                                   as they are after their first migration, which takes longer than all the rest
#   up.sh start FOLDER PORT OWNER   all of it with its files in FOLDER (which must not exist); Keystone is
#                                   http://127.0.0.1:PORT/v3, ports PORT to PORT+8 are used; when the process OWNER is
#                                   gone, however it ended, all of it goes too
#   up.sh compute FOLDER HOST       starts the service of one hypervisor again (FOLDER/nova-HOST.pid: its id, and its birth)
#   up.sh stop FOLDER               ends the processes of this cloud, by their ids, and removes FOLDER
# FOLDER/clouds.yaml knows two clouds: "tests" (an administrator) and "tenant" (a member, who sees no hypervisors).
# Machines only pretend to run: two hypervisors, c1 and c2, of 1000 CPUs each.
# When it does not come up, the last lines of what is to blame are printed; its logs stay in FOLDER until it is stopped.
# Exit code 3: MariaDB or RabbitMQ is not installed, or the services cannot be.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/processes.sh"
. "$here/configuration.sh"
home=${XDG_CACHE_HOME:-$HOME/.cache}/xisuan-tests/openstack-$(sha256sum "$here/requirements.txt" | cut -c 1-12)
rabbit=/usr/lib/rabbitmq/bin/rabbitmq-server
# Databases as they are after their first migration, by what makes them.
databases=$home/databases-$(cat "$here/up.sh" "$here/configuration.sh" "$here/fill.py" | sha256sum | cut -c 1-12)
export PATH="$home/bin:/usr/sbin:$PATH" OS_CLIENT_CONFIG_FILE=/nonexistent PYTHONWARNINGS=ignore

need() {
    for program in mariadbd mariadb-install-db mariadb "$rabbit"; do
        command -v "$program" >/dev/null || { echo "$program is not installed (Debian: mariadb-server, rabbitmq-server)" >&2; exit 3; }
    done
}

# -- databases --------------------------------------------------------------------------------------------------------

# What the tests prove does not depend on the disk: nothing waits for it.
database() {  # PORT
    serve mariadb mariadbd --no-defaults --user="$(id -un)" --datadir="$folder/mariadb" --socket="$folder/mariadb.sock" \
        --port="$1" --bind-address=127.0.0.1 --pid-file="$folder/mariadb/own.pid" --max-connections=500 \
        --innodb-log-file-size=16M --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0
}

has_database() { wait_for mariadb "MariaDB answers" mariadb-admin -uroot -S "$folder/mariadb.sock" ping; }

sql() { mariadb -uroot -S "$folder/mariadb.sock" "$@"; }

# -- once a machine ----------------------------------------------------------------------------------------------------

prepare() {  # PORT
    if [ -e "$databases/complete" ]; then return; fi
    need
    mkdir -p "${home%/*}"
    (
        flock 9
        [ -e "$home/complete" ] || install
        [ -e "$databases/complete" ] || fill_databases "$1"
    ) 9>"$home.lock"
}

install() {
    rm -rf "$home"
    if python3 -m venv "$home" && "$home/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" && "$home/bin/python" -m compileall -q -j 2 "$home/lib"; then
        touch "$home/complete"
        return
    fi >"$home.log" 2>&1
    echo "the services of OpenStack cannot be installed ($home.log)" >&2
    tail -n 3 "$home.log" >&2
    exit 3
}

fill_databases() {  # PORT
    rm -rf "$home"/databases-*
    folder=$(mktemp -d /tmp/xisuan-openstack-XXXXXX)
    # As a command of its own, so that it ends at its first failure.
    if ! "$here/up.sh" migrate "$folder" "$1" $$ >>"$home.log" 2>&1; then
        echo "the databases of OpenStack cannot be made ($home.log)" >&2
        tail -n 5 "$home.log" >&2
        end "$folder"
        exit 1
    fi
    mkdir "$databases"
    mv "$folder/mariadb" "$folder/keystone" "$databases/"
    end "$folder"
    touch "$databases/complete"
}

# Databases with their tables, Keystone's keys, and what it knows of services and people. Nova's cells are mapped by
# templates, which are filled in from the configuration, and the catalogue by words, which `start` replaces: so the
# copies work on any port.
migrate() {  # PORT
    mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$folder/mariadb" --auth-root-authentication-method=normal --skip-test-db
    configure "$folder" "$1"
    database $(($1 + 5))
    has_database
    for name in keystone placement nova nova_api nova_cell0 glance; do sql -e "create database $name character set utf8mb3"; done
    sql -e "create user cloud@'%' identified by 'x'; create user cloud@localhost identified by 'x'; grant all on *.* to cloud@'%'; grant all on *.* to cloud@localhost"
    keystone="keystone-manage --config-file $folder/keystone/keystone.conf"
    $keystone db_sync
    $keystone fernet_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
    $keystone credential_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
    $keystone bootstrap --bootstrap-password x --bootstrap-region-id tests
    placement-manage --config-file "$folder/placement/placement.conf" db sync
    glance-manage --config-file "$folder/glance/glance-api.conf" db_sync
    nova="nova-manage --config-file $folder/nova/nova.conf"
    $nova api_db sync
    $nova cell_v2 map_cell0 --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0'
    $nova cell_v2 create_cell --name=c1 --transport-url '{scheme}://{username}:{password}@{hostname}:{port}/{path}' \
        --database_connection '{scheme}://{username}:{password}@{hostname}:{port}/{path}'
    $nova db sync
    keystone "$1"
    has_keystone "$1"
    clouds "$1" >"$folder/clouds.yaml"
    fill catalogue
    mariadb-admin -uroot -S "$folder/mariadb.sock" shutdown
    while runs "$folder/mariadb.pid"; do sleep 0.1; done
}

# -- one cloud ---------------------------------------------------------------------------------------------------------

keystone() {  # PORT
    OS_KEYSTONE_CONFIG_FILES="$folder/keystone/keystone.conf" serve keystone python "$here/wsgi.py" keystone.wsgi.api "$1"
}

has_keystone() { wait_for keystone "Keystone answers" curl -sf "http://127.0.0.1:$1/v3"; }

fill() { OS_CLIENT_CONFIG_FILE="$folder/clouds.yaml" python "$here/fill.py" "$@"; }

start() {  # PORT
    port=$1
    cp -a "$databases/mariadb" "$folder/mariadb"
    cp -a "$databases/keystone" "$folder/keystone"
    configure "$folder" "$port"
    clouds "$port" >"$folder/clouds.yaml"
    database $((port + 5))
    rabbitmq "$port"
    has_database
    for offset in 0 1 2 3 4; do
        sql keystone -e "update endpoint set url = replace(url, 'port$offset', '$((port + offset))')"
    done
    keystone "$port"
    OS_PLACEMENT_CONFIG_DIR="$folder/placement" serve placement python "$here/wsgi.py" placement.wsgi.api $((port + 1))
    OS_GLANCE_CONFIG_DIR="$folder/glance" serve glance python "$here/wsgi.py" glance.wsgi.api $((port + 2))
    serve network python "$here/network.py" $((port + 4))
    wait_for rabbitmq "RabbitMQ listens" python -c "import socket; socket.create_connection(('127.0.0.1', $((port + 6))))"
    OS_NOVA_CONFIG_DIR="$folder/nova" serve nova-api python "$here/wsgi.py" nova.wsgi.osapi_compute $((port + 3))
    serve nova-conductor nova-conductor --config-file "$folder/nova/nova.conf"
    serve nova-scheduler nova-scheduler --config-file "$folder/nova/nova.conf"
    # A hypervisor that finds no Placement tries again a minute later.
    has_keystone "$port"
    wait_for placement "Placement answers" curl -sf "http://127.0.0.1:$((port + 1))/"
    for host in c1 c2; do compute "$host"; done
    wait_for glance "Glance answers" curl -s "http://127.0.0.1:$((port + 2))/"
    wait_for nova-api "Nova answers" curl -s "http://127.0.0.1:$((port + 3))/"
    fill content || fail "its hypervisors are not there" nova-c1
}

compute() { serve "nova-$1" python "$here/compute.py" --config-file "$folder/nova/nova-$1.conf"; }

# Without busy waiting (+sbwt): a small machine has better uses for its processors.
rabbitmq() {  # PORT
    mkdir "$folder/rabbitmq"
    HOME="$folder/rabbitmq" RABBITMQ_NODENAME="xisuan$1@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
        RABBITMQ_NODE_PORT=$(($1 + 6)) RABBITMQ_DIST_PORT=$(($1 + 7)) ERL_EPMD_PORT=$(($1 + 8)) \
        ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_MNESIA_BASE="$folder/rabbitmq" RABBITMQ_LOG_BASE="$folder/rabbitmq" \
        RABBITMQ_PID_FILE="$folder/rabbitmq/pid" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/rabbitmq/plugins" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none" \
        serve rabbitmq "$rabbit"
}

case $1 in
python)
    prepare 21950
    echo "$home/bin/python"
    ;;
start)
    folder=$2 owner=$4
    prepare "$3"
    need
    mkdir -m 700 "$folder"
    setsid "$here/up.sh" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    export XISUAN_TEST_OPENSTACK="$folder"
    start "$3"
    ;;
compute)
    folder=$2
    export XISUAN_TEST_OPENSTACK="$folder"
    compute "$3"
    ;;
migrate)  # for `prepare`
    folder=$2 owner=$4
    setsid "$here/up.sh" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 9>&- &
    export XISUAN_TEST_OPENSTACK="$folder"
    migrate "$3"
    ;;
watch)
    cd /
    wait_for_end "$3" "$2"
    if [ -d "$2" ]; then exec "$here/up.sh" stop "$2"; fi
    ;;
stop)
    cd /
    end "$2"
    ;;
*)
    echo "usage: $0 python | start FOLDER PORT OWNER | compute FOLDER HOST | stop FOLDER" >&2
    exit 2
    ;;
esac
