#!/bin/sh
# Starts and stops a throw-away Kubernetes control plane with nodes that only pretend to run pods, on loopback.
#   cluster.sh start FOLDER PORT OWNER   etcd, API server, scheduler, controller manager and KWOK in FOLDER (which must
#                                        not exist), the API server on PORT, etcd on the two ports after it; when
#                                        the process OWNER is gone, however it ended, all of it goes too
#   cluster.sh stop FOLDER               ends them at once and removes FOLDER
# FOLDER/kubeconfig is an administrator's. Nodes are objects with the annotation kwok.x-k8s.io/node=fake: create as
# many as wanted; stages.yaml says how long their pods run and how they end.
# Exit code 3: the programs are neither there nor can be built (see build.sh).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$2
. "$here/../owner.sh"
# Each server writes its process id before it becomes that program, so that stop ends these and nothing else.
serve() { name=$1; shift; sh -c 'echo $$ >"$0.pid" && exec "$@"' "$folder/$name" "$@" >"$folder/$name.log" 2>&1 & }

case $1 in
start)
    port=$3 owner=$4
    programs=$("$here/build.sh")
    mkdir -m 700 "$folder"
    setsid "$0" watch "$folder" "$owner" </dev/null >/dev/null 2>&1 &
    openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "$token,tests,tests,\"system:masters\"" >"$folder/tokens.csv"
    cat >"$folder/kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: tests, cluster: {server: "https://127.0.0.1:$port", insecure-skip-tls-verify: true}}]
users: [{name: tests, user: {token: $token}}]
contexts: [{name: tests, context: {cluster: tests, user: tests}}]
current-context: tests
END
    # What the tests prove does not depend on etcd's disk: without fsync they do not wait for it.
    serve etcd "$programs/etcd" --data-dir "$folder/etcd" --unsafe-no-fsync \
        --listen-client-urls "http://127.0.0.1:$((port + 1))" --advertise-client-urls "http://127.0.0.1:$((port + 1))" \
        --listen-peer-urls "http://127.0.0.1:$((port + 2))"
    serve apiserver "$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$((port + 1))" \
        --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" --cert-dir "$folder/certificates" \
        --token-auth-file "$folder/tokens.csv" --authorization-mode RBAC --service-cluster-ip-range 10.0.0.0/16 \
        --service-account-issuer https://tests.invalid --service-account-key-file "$folder/accounts.key" \
        --service-account-signing-key-file "$folder/accounts.key" --endpoint-reconciler-type none --kubelet-preferred-address-types InternalIP
    for attempt in $(seq 300); do
        curl -ksf -H "Authorization: Bearer $token" "https://127.0.0.1:$port/readyz" >/dev/null && break
        [ "$attempt" -lt 300 ] || { tail -n 5 "$folder/etcd.log" "$folder/apiserver.log" >&2; exit 1; }
        sleep 0.2
    done
    serve scheduler "$programs/kube-scheduler" --kubeconfig "$folder/kubeconfig" --leader-elect=false --secure-port 0 \
        --kube-api-qps 1000 --kube-api-burst 1000
    serve controllers "$programs/kube-controller-manager" --kubeconfig "$folder/kubeconfig" --leader-elect=false \
        --secure-port 0 --service-account-private-key-file "$folder/accounts.key" --concurrent-job-syncs 20 \
        --kube-api-qps 1000 --kube-api-burst 1000 --node-monitor-grace-period 10m
    # A thousand nodes renew ten leases a second in all: with the usual 40 s it is a hundred, which a small machine
    # does not keep up with, and nodes that are late are tainted, and come back, and are late again.
    serve kwok "$programs/kwok" --kubeconfig "$folder/kubeconfig" --config "$here/stages.yaml" \
        --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --node-lease-duration-seconds 400
    ;;
watch)
    cd /
    wait_for_end "$3" "$folder"
    if [ -d "$folder" ]; then exec "$0" stop "$folder"; fi
    ;;
stop)
    cd /
    for file in "$folder"/*.pid; do
        if [ -e "$file" ]; then kill -KILL "$(cat "$file")" 2>/dev/null || true; fi
    done
    rm -rf "$folder"
    ;;
*)
    echo "usage: $0 start FOLDER PORT OWNER | stop FOLDER" >&2
    exit 2
    ;;
esac
