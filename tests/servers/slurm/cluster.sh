#!/bin/sh
# Starts and stops a throw-away Slurm cluster on loopback, of Debian's packages slurmctld, slurmd, slurm-client, munge.
#   cluster.sh start FOLDER PORT OWNER NODES   NODES slurmd of 512 CPUs, 500 GiB and 8 pretended GPUs each, in FOLDER (which
#                                              must not exist); slurmctld on PORT, the slurmds on the ports after it;
#                                              when the process OWNER is gone, however it ended, all of it goes too
#   cluster.sh slurmd FOLDER NODE              starts the slurmd of one node again
#   cluster.sh stop FOLDER                     ends them and every step they run, and removes FOLDER
# Clients need SLURM_CONF=FOLDER/slurm.conf. FOLDER/NODE.pid is the process id of a slurmd, for tests that kill one.
# Runs as root only, as slurmd does. Exit code 3: the programs are not installed.
set -eu

folder=$2
. "$(dirname "$0")/../owner.sh"
serve() { name=$1; shift; setsid sh -c 'echo $$ >"$0.pid" && exec "$@"' "$folder/$name" "$@" >>"$folder/$name.out" 2>&1 & }

configure() {
    nodes=$1 port=$2 host=$(hostname -s)
    for card in 0 1 2 3 4 5 6 7; do mknod "$folder/gpu$card" c 1 3; done  # slurmd counts only cards that are devices
    cat >"$folder/slurm.conf" <<END
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/own-slurmctld.pid
SlurmdPidFile=$folder/own-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completions.txt
AccountingStorageType=accounting_storage/none
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
InactiveLimit=0
KillWait=2
SlurmdTimeout=300
MessageTimeout=60
TCPTimeout=30
BatchStartTimeout=300
UnkillableStepTimeout=600
MailProg=/bin/true
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=512 Boards=1 SocketsPerBoard=2 CoresPerSocket=256 ThreadsPerCore=1 RealMemory=512000 Gres=gpu:h100:8 State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    echo "NodeName=n[1-$nodes] Name=gpu Type=h100 File=$folder/gpu[0-7]" >"$folder/gres.conf"
    echo "CgroupPlugin=cgroup/v1" >"$folder/cgroup.conf"
}

case $1 in
start)
    port=$3 owner=$4 nodes=$5
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null || { echo "Slurm is not installed: apt-get install slurmctld slurmd slurm-client munge" >&2; exit 3; }
    done
    [ "$(id -u)" = 0 ] || { echo "a Slurm for tests needs root: slurmd starts jobs as their users" >&2; exit 3; }
    mkdir -m 755 "$folder"
    setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    configure "$nodes" "$port"
    export SLURM_CONF="$folder/slurm.conf"
    head -c 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    # A munged of its own beside the system's: nothing outside FOLDER is touched.
    serve munged munged --foreground --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" \
        --pid-file "$folder/own-munged.pid" --seed-file "$folder/munge.seed" --log-file "$folder/munge.log"
    until [ -S "$folder/munge.socket" ]; do sleep 0.05; done
    serve slurmctld slurmctld -D
    for i in $(seq "$nodes"); do "$0" slurmd "$folder" "n$i"; done
    for attempt in $(seq 300); do
        # A client of a slurmctld that is not there yet blocks: each look has a limit of its own.
        [ "$(timeout 3 sinfo -h -o '%D %T' 2>/dev/null)" = "$nodes idle" ] && break
        [ "$attempt" -lt 300 ] || { cat "$folder"/*.out >&2; tail -n 5 "$folder"/slurmctld.log "$folder"/n1.log >&2; exit 1; }
        sleep 0.1
    done
    ;;
slurmd)
    export SLURM_CONF="$folder/slurm.conf"
    mkdir -p "$folder/spool-$3"
    serve "$3" slurmd -D -N "$3"
    ;;
watch)
    cd /
    wait_for_end "$3" "$folder"
    if [ -d "$folder" ]; then exec "$0" stop "$folder"; fi
    ;;
stop)
    cd /
    SLURM_CONF="$folder/slurm.conf" timeout 5 scancel --state=RUNNING --signal=KILL --full >/dev/null 2>&1 || true
    for file in "$folder"/*.pid; do
        case $file in */own-*) continue ;; esac  # the daemons' own copies name the same processes
        if [ -e "$file" ]; then kill -KILL "$(cat "$file")" 2>/dev/null || true; fi
    done
    # Each job step is a slurmstepd that outlives its slurmd; its socket in FOLDER names it as this cluster's.
    for step in $(pgrep slurmstepd || true); do
        if tr '\0' '\n' <"/proc/$step/environ" 2>/dev/null | grep -qx "SLURM_CONF=$folder/slurm.conf"; then kill -KILL "$step" 2>/dev/null || true; fi
    done
    rm -rf "$folder"
    ;;
*)
    echo "usage: $0 start FOLDER PORT OWNER NODES | slurmd FOLDER NODE | stop FOLDER" >&2
    exit 2
    ;;
esac
