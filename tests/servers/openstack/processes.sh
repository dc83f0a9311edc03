# Sourced by up.sh: the processes of one cloud, whose files are in $folder; `end` finds all of them again.
. "$here/../owner.sh"

# Each server leads a group of its own, and writes its id and when it was born before it becomes that program: `end`
# then ends these and nothing else. None of them inherits the lock that `prepare` holds.
serve() {  # NAME COMMAND...
    name=$1; shift
    setsid "$here/lead.sh" "$folder/$name.pid" "$@" >"$folder/$name.log" 2>&1 </dev/null 9>&- &
}

# Until COMMAND succeeds. Ends with one line, and the end of the server's log, where that has ended or takes too long.
wait_for() {  # NAME WHAT COMMAND...
    name=$1 what=$2; shift 2
    for attempt in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.2
        if [ -e "$folder/$name.pid" ] && ! runs "$folder/$name.pid"; then fail "it has ended before $what" "$name"; fi
    done
    fail "not within 2 minutes: $what" "$name"
}

fail() {  # WHY NAME
    echo "OpenStack did not start: $1 ($folder/$2.log)" >&2
    tail -n 15 "$folder/$2.log" >&2
    exit 1
}

runs() {  # FILE: whether the process that wrote it is alive
    read -r process born <"$1" 2>/dev/null && [ -n "$born" ] && [ "$(life_of "$process")" = "$born" ]
}

# What has no file belongs to the cloud by its environment, which names the folder: what RabbitMQ starts. (Nova's
# processes overwrite theirs with a title: those go with their groups.)
end() {  # FOLDER
    for round in 1 2 3 4 5 6 7 8 9 10; do
        is_alive=
        for file in "$1"/*.pid; do
            if [ -e "$file" ] && runs "$file"; then is_alive=1; kill -s KILL -- "-$process" 2>/dev/null || true; fi
        done
        for environment in $(grep -lzxF "XISUAN_TEST_OPENSTACK=$1" /proc/[0-9]*/environ 2>/dev/null || true); do
            process=${environment#/proc/}
            process=${process%/environ}
            case $process in "$$" | self | thread-self) continue ;; esac
            is_alive=1
            kill -s KILL "$process" 2>/dev/null || true
        done
        if [ -z "$is_alive" ]; then break; fi
        sleep 0.1
    done
    rm -rf "$1"
}
