#!/bin/sh
# Starts and stops a throw-away Ray cluster on loopback: a head at 127.0.0.2 and one node at 127.0.0.3.
#   cluster.sh python                    the Python that has Ray with its dashboard; it is installed into the cache once
#   cluster.sh start FOLDER PORT OWNER   head and node with their files in FOLDER (which must not exist); the Jobs API
#                                        is http://127.0.0.2:PORT; ports PORT to PORT+37 are used; when the process
#                                        OWNER is gone, however it ended, all of it goes too
#   cluster.sh node FOLDER               starts the node (8 CPUs, 2 GPUs, 4 NPUs, 2 of a resource "probe") again
#   cluster.sh stop FOLDER               ends the processes of this cluster, by their ids, and removes FOLDER
# The Jobs API needs packages that the project's own environment does not have: Ray runs in one of its own.
# Not on 127.0.0.1: Ray replaces that address by another of the machine. FOLDER must be short: it holds sockets.
# Exit code 3: Ray cannot be installed here.
set -eu
. "$(dirname "$0")/../owner.sh"

version=2.60.0
export RAY_AUTH_MODE=disabled RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1
# A small machine shall not start a worker for every CPU that the cluster pretends to have.
export RAY_prestart_worker_first_driver=0 RAY_enable_worker_prestart=0
home=${XDG_CACHE_HOME:-$HOME/.cache}/xisuan-tests/ray-$version

python() {
    if [ -e "$home/complete" ]; then return; fi
    mkdir -p "${home%/*}"
    (
        flock 9
        [ -e "$home/complete" ] && exit 0
        if ! { python3 -m venv "$home" && "$home/bin/python" -m pip install --quiet --disable-pip-version-check "ray[default]==$version" && "$home/bin/python" -m compileall -q "$home/lib"; } >"$home.log" 2>&1; then
            tail -n 3 "$home.log" >&2
            exit 3
        fi
        touch "$home/complete"
    ) 9>"$home.lock"
}

# Ends every process whose environment holds this setting: that is how those of a cluster, and of its parts, are known.
end_marked() {
    for environment in $(grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null || true); do
        process=${environment#/proc/}
        kill -KILL "${process%/environ}" 2>/dev/null || true
    done
}

# Ray waits 30 s for its own raylet, which a very busy machine may exceed. It leaves what it had begun: that is ended
# before the next attempt, which would meet the GCS of the last one.
ray() {  # PART WORDS...
    part=$1
    shift
    for attempt in 1 2 3 4; do
        echo "attempt $attempt: ray $*" >>"$folder/start.log"
        PATH="$home/bin:$PATH" XISUAN_TEST_RAY="$folder" XISUAN_TEST_RAY_PART="$folder:$part" "$home/bin/ray" "$@" \
            >>"$folder/start.log" 2>&1 </dev/null && return
        end_marked "XISUAN_TEST_RAY_PART=$folder:$part"
    done
    tail -n 20 "$folder/start.log" >&2
    return 1
}

ports() {  # of one raylet, from the first given
    echo "--node-manager-port=$1 --object-manager-port=$(($1 + 1)) --runtime-env-agent-port=$(($1 + 2))" \
        "--dashboard-agent-grpc-port=$(($1 + 3)) --dashboard-agent-listen-port=$(($1 + 4)) --metrics-export-port=$(($1 + 5))"
}

node() {
    # shellcheck disable=SC2046 # words
    ray node start --address="127.0.0.2:$(($1 + 1))" --node-ip-address=127.0.0.3 --num-cpus=8 --num-gpus=2 \
        --memory=8589934592 --object-store-memory=80000000 --resources='{"NPU": 4, "probe": 2}' \
        --labels="ray.io/accelerator-type=A100" \
        --min-worker-port=0 --max-worker-port=0 $(ports $(($1 + 20)))
}

case $1 in
python)
    python
    echo "$home/bin/python"
    ;;
start)
    folder=$2 port=$3 owner=$4
    python
    mkdir -m 755 "$folder"
    setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    echo "$port" >"$folder/port"
    # shellcheck disable=SC2046 # words
    ray head start --head --node-ip-address=127.0.0.2 --port=$((port + 1)) --dashboard-host=127.0.0.2 --dashboard-port="$port" \
        --include-dashboard=true --ray-client-server-port=$((port + 2)) --num-cpus=8 --memory=8589934592 \
        --object-store-memory=80000000 --temp-dir="$folder/ray" --min-worker-port=0 --max-worker-port=0 $(ports $((port + 5)))
    node "$port"
    ;;
node)
    folder=$2
    node "$(cat "$folder/port")"
    ;;
watch)
    cd /
    wait_for_end "$3" "$2"
    if [ -d "$2" ]; then exec "$0" stop "$2"; fi
    ;;
stop)
    cd /
    end_marked "XISUAN_TEST_RAY=$2"
    rm -rf "$2"
    ;;
*)
    echo "usage: $0 python | start FOLDER PORT OWNER | node FOLDER | stop FOLDER" >&2
    exit 2
    ;;
esac
