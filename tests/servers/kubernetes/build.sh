#!/bin/sh
# Builds the programs of a real Kubernetes control plane for the tests, where Go is installed; prints their folder.
#   build.sh          the folder with etcd, kube-apiserver, kube-scheduler, kube-controller-manager and kwok
# They are looked for in KUBEBUILDER_ASSETS first, then in the cache, and built there when they are missing.
# No package ships these programs; Go's module proxy has their sources, and only versions are written here.
# Exit code 3: they are not there, and neither is Go.
set -eu

kubernetes=1.36.0
kwok=0.8.0
programs="etcd kube-apiserver kube-scheduler kube-controller-manager kwok"

complete() { for program in $programs; do [ -x "$1/$program" ] || return 1; done; }

if [ -n "${KUBEBUILDER_ASSETS:-}" ] && complete "$KUBEBUILDER_ASSETS"; then echo "$KUBEBUILDER_ASSETS"; exit 0; fi
folder=${XDG_CACHE_HOME:-$HOME/.cache}/xisuan-tests/kubernetes-$kubernetes
if complete "$folder"; then echo "$folder"; exit 0; fi
command -v go >/dev/null || { echo "no Kubernetes control plane in KUBEBUILDER_ASSETS, and no Go to build one" >&2; exit 3; }

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if complete "$folder"; then echo "$folder"; exit 0; fi
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
export GOFLAGS=-mod=mod GOTOOLCHAIN=local

# Kubernetes' own go.mod replaces its libraries by folders of its tree; a module that requires Kubernetes must
# name their published versions instead: v0.Y.Z beside v1.Y.Z.
cd "$modules"
source=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
{
    echo "module servers"
    grep -m 1 '^go ' "$source/go.mod"
    echo "require k8s.io/kubernetes v$kubernetes"
    sed -n "s|^[[:space:]]*\(k8s.io/[a-z-]*\) => ./staging/.*|replace \1 => \1 v0.${kubernetes#1.}|p" "$source/go.mod"
} >go.mod
build() { go build -ldflags '-s -w' -o "$1" "$2" >&2; mv "$1" "$folder/$1"; }
for program in kube-apiserver kube-scheduler kube-controller-manager; do
    build $program k8s.io/kubernetes/cmd/$program
done
build etcd go.etcd.io/etcd/server/v3  # the version that this Kubernetes is tested with
GOBIN="$folder" GOFLAGS= go install "sigs.k8s.io/kwok/cmd/kwok@v$kwok" >&2
echo "$folder"
