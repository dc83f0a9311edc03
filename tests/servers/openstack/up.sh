#!/bin/sh
# Starts and stops a throw-away OpenStack on loopback: Keystone, Placement, Glance and Nova with its fake driver.
#   up.sh python                    the Python that has the services; installed into the cache once, with the databases
#                                   as they are after their first migration, which takes longer than all the rest
#   up.sh start FOLDER PORT OWNER   all of it with its files in FOLDER (which must not exist); Keystone is
#                                   http://127.0.0.1:PORT/v3, ports PORT to PORT+9 are used; when the process OWNER is
#                                   gone, however it ended, all of it goes too
#   up.sh stop FOLDER               ends the processes of this cloud, by their ids, and removes FOLDER
# FOLDER/clouds.yaml knows two clouds: "tests" (an administrator) and "tenant" (a member, who sees no hypervisors).
# Machines only pretend to run: two hypervisors, c1 and c2, of 1000 CPUs each.
# Exit code 3: MariaDB or RabbitMQ is not installed, or the services cannot be.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
home=${XDG_CACHE_HOME:-$HOME/.cache}/xisuan-tests/openstack-$(sha256sum "$here/requirements.txt" | cut -c 1-12)
rabbit=/usr/lib/rabbitmq/bin/rabbitmq-server
export PATH="$home/bin:/usr/sbin:$PATH" OS_CLIENT_CONFIG_FILE=/nonexistent PYTHONWARNINGS=ignore

need() {
    for program in mariadbd mariadb-install-db mariadb "$rabbit"; do
        command -v "$program" >/dev/null || { echo "$program is not installed (Debian: mariadb-server, rabbitmq-server)" >&2; exit 3; }
    done
}

# -- databases --------------------------------------------------------------------------------------------------------

# What the tests prove does not depend on the disk: nothing waits for it.
database() {  # FOLDER PORT
    setsid mariadbd --no-defaults --user="$(id -un)" --datadir="$1/mariadb" --socket="$1/mariadb.sock" --port="$2" \
        --bind-address=127.0.0.1 --pid-file="$1/mariadb.pid" --max-connections=500 --innodb-log-file-size=16M \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 >"$1/mariadb.log" 2>&1 </dev/null &
    wait_for "$1/mariadb.log" mariadb-admin -uroot -S "$1/mariadb.sock" ping
}

sql() { mariadb -uroot -S "$folder/mariadb.sock" "$@"; }

wait_for() {  # LOG COMMAND...: until it succeeds
    log=$1; shift
    for attempt in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "not within 2 minutes: $*" >&2
    tail -n 15 "$log" >&2
    exit 1
}

# -- what the services read --------------------------------------------------------------------------------------------

configure() {  # FOLDER PORT
    mkdir -p "$1/keystone" "$1/placement" "$1/glance/images" "$1/nova/c1/instances" "$1/nova/c2/instances"
    mysql="mysql+pymysql://cloud:x@127.0.0.1:$(($2 + 5))"
    account="auth_type=password
auth_url=http://127.0.0.1:$2/v3
username=admin
password=x
project_name=admin
user_domain_id=default
project_domain_id=default
region_name=tests"
    tokens="[keystone_authtoken]
www_authenticate_uri=http://127.0.0.1:$2
$account"
    cat >"$1/keystone/keystone.conf" <<END
[database]
connection=$mysql/keystone
[token]
provider=fernet
[fernet_tokens]
key_repository=$1/keystone/fernet
[credential]
key_repository=$1/keystone/credentials
END
    cat >"$1/placement/placement.conf" <<END
[placement_database]
connection=$mysql/placement
[api]
auth_strategy=keystone
$tokens
END
    cat >"$1/glance/glance-api.conf" <<END
[DEFAULT]
enabled_backends=files:file
[database]
connection=$mysql/glance
[glance_store]
default_backend=files
[files]
filesystem_store_datadir=$1/glance/images
$tokens
[paste_deploy]
flavor=keystone
END
    cp "$home"/etc/glance/*.ini "$1/glance/"
    cp "$home/etc/nova/api-paste.ini" "$1/nova/"
    for host in c1 c2; do nova_configuration "$1" "$2" "$host" >"$1/nova/nova-$host.conf"; done
    cp "$1/nova/nova-c1.conf" "$1/nova/nova.conf"
}

# Many machines at once on two hypervisors: no quotas, no overcommitment, and no waiting for periodic tasks.
nova_configuration() {  # FOLDER PORT HOST
    cat <<END
[DEFAULT]
state_path=$1/nova/$3
instances_path=$1/nova/$3/instances
my_ip=127.0.0.1
host=$3
transport_url=rabbit://guest:guest@127.0.0.1:$(($2 + 6))/
compute_driver=fake.FakeDriverWithoutFakeNodes
cpu_allocation_ratio=1.0
ram_allocation_ratio=1.0
disk_allocation_ratio=1.0
reserved_host_memory_mb=0
max_concurrent_builds=0
running_deleted_instance_poll_interval=0
heal_instance_info_cache_interval=-1
[oslo_concurrency]
lock_path=$1/nova/locks
[api]
auth_strategy=keystone
[api_database]
connection=$mysql/nova_api
[database]
connection=$mysql/nova
[quota]
instances=-1
cores=-1
ram=-1
[conductor]
workers=1
[scheduler]
workers=1
discover_hosts_in_cells_interval=2
$tokens
[service_user]
send_service_user_token=true
$account
[placement]
$account
[glance]
api_servers=http://127.0.0.1:$(($2 + 2))
[neutron]
$account
[vnc]
enabled=False
END
}

# -- once a machine ----------------------------------------------------------------------------------------------------

prepare() {
    if [ -e "$home/complete" ]; then return; fi
    need
    mkdir -p "${home%/*}"
    (
        flock 9
        [ -e "$home/complete" ] && exit 0
        rm -rf "$home"
        if ! { python3 -m venv "$home" && "$home/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" && "$home/bin/python" -m compileall -q "$home/lib"; } >"$home.log" 2>&1; then
            tail -n 3 "$home.log" >&2
            exit 3
        fi
        folder=$(mktemp -d /tmp/xisuan-openstack-XXXXXX)
        export XISUAN_TEST_OPENSTACK="$folder"
        migrate "$1" >>"$home.log" 2>&1 || { tail -n 5 "$home.log" "$folder"/*.log >&2; end "$folder"; exit 1; }
        cp -a "$folder/mariadb" "$home/mariadb"
        cp -a "$folder/keystone" "$home/keystone"
        end "$folder"
        touch "$home/complete"
    ) 9>"$home.lock"
}

# Databases with their tables, Keystone's keys and its administrator. Nova's cells are mapped by templates, which are
# filled in from the configuration, so that the copies work on any port.
migrate() {  # PORT
    mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$folder/mariadb" --auth-root-authentication-method=normal --skip-test-db
    configure "$folder" "$1"
    database "$folder" $(($1 + 5))
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
    mariadb-admin -uroot -S "$folder/mariadb.sock" shutdown
}

# Every process of a cloud has its folder in its environment: that is how `end` knows them. Some of Nova's overwrite
# theirs with a title: those go with the group whose leader wrote its id when it was started.
end() {
    for file in "$1"/*.pid; do
        if [ -e "$file" ]; then kill -s KILL -- "-$(cat "$file")" 2>/dev/null || true; fi
    done
    for environment in $(grep -lzxF "XISUAN_TEST_OPENSTACK=$1" /proc/[0-9]*/environ 2>/dev/null || true); do
        process=${environment#/proc/}
        process=${process%/environ}
        case $process in "$$" | self) continue ;; esac
        kill -KILL "$process" 2>/dev/null || true
    done
    rm -rf "$1"
}

# -- one cloud ---------------------------------------------------------------------------------------------------------

serve() {  # NAME COMMAND...
    name=$1; shift
    setsid sh -c 'echo $$ >"$0.pid"; exec "$@"' "$folder/$name" "$@" >"$folder/$name.log" 2>&1 </dev/null &
}

start() {  # PORT
    port=$1
    cp -a "$home/mariadb" "$folder/mariadb"
    cp -a "$home/keystone" "$folder/keystone"
    configure "$folder" "$port"
    mkdir "$folder/rabbitmq"
    HOME="$folder/rabbitmq" RABBITMQ_NODENAME="xisuan$port@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
        RABBITMQ_NODE_PORT=$((port + 6)) RABBITMQ_DIST_PORT=$((port + 7)) ERL_EPMD_PORT=$((port + 8)) \
        ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_MNESIA_BASE="$folder/rabbitmq" RABBITMQ_LOG_BASE="$folder/rabbitmq" \
        RABBITMQ_PID_FILE="$folder/rabbitmq/pid" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/rabbitmq/plugins" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
        setsid "$rabbit" >"$folder/rabbitmq.log" 2>&1 </dev/null &
    database "$folder" $((port + 5))
    OS_KEYSTONE_CONFIG_FILES="$folder/keystone/keystone.conf" serve keystone python "$here/wsgi.py" keystone.wsgi.api "$port"
    OS_PLACEMENT_CONFIG_DIR="$folder/placement" serve placement python "$here/wsgi.py" placement.wsgi.api $((port + 1))
    OS_GLANCE_CONFIG_DIR="$folder/glance" serve glance python "$here/wsgi.py" glance.wsgi.api $((port + 2))
    serve network python "$here/network.py" $((port + 4))
    clouds "$port" >"$folder/clouds.yaml"
    wait_for "$folder/keystone.log" curl -sf "http://127.0.0.1:$port/v3"
    wait_for "$folder/rabbitmq.log" python -c "import socket; socket.create_connection(('127.0.0.1', $((port + 6))))"
    OS_CLIENT_CONFIG_FILE="$folder/clouds.yaml" python "$here/fill.py" catalogue "$port"
    OS_NOVA_CONFIG_DIR="$folder/nova" serve nova-api python "$here/wsgi.py" nova.wsgi.osapi_compute $((port + 3))
    serve nova-conductor nova-conductor --config-file "$folder/nova/nova.conf"
    serve nova-scheduler nova-scheduler --config-file "$folder/nova/nova.conf"
    for host in c1 c2; do serve "nova-$host" nova-compute --config-file "$folder/nova/nova-$host.conf"; done
    OS_CLIENT_CONFIG_FILE="$folder/clouds.yaml" python "$here/fill.py" content "$port"
}

clouds() {  # PORT
    for cloud in tests:admin:admin:x tenant:tenant:tenant:tenant; do
        IFS=: read -r name project user password <<END
$cloud
END
        [ "$name" = tests ] && echo "clouds:"
        cat <<END
  $name:
    region_name: tests
    identity_endpoint_override: http://127.0.0.1:$1/v3
    auth:
      auth_url: http://127.0.0.1:$1/v3
      username: $user
      password: $password
      project_name: $project
      user_domain_id: default
      project_domain_id: default
END
    done
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
    export XISUAN_TEST_OPENSTACK="$folder"
    ( start "$3" )
    env -u XISUAN_TEST_OPENSTACK setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    ;;
watch)
    cd /
    while kill -0 "$3" 2>/dev/null && [ -d "$2" ]; do sleep 1; done
    if [ -d "$2" ]; then exec "$0" stop "$2"; fi
    ;;
stop)
    cd /
    end "$2"
    ;;
*)
    echo "usage: $0 python | start FOLDER PORT OWNER | stop FOLDER" >&2
    exit 2
    ;;
esac
