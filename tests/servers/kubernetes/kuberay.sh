#!/bin/sh
# Builds the KubeRay operator for the test of the deployment files, where Go is installed; prints a folder.
#   kuberay.sh       the folder with the program ray-operator and, in crds/, the definitions of its kinds
# Built from Go's module of the operator into the cache, once; only its version is written here.
# Exit code 3: it is not there, and cannot be built.
set -eu

version=1.4.2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/xisuan-tests/kuberay-$version
module=github.com/ray-project/kuberay/ray-operator

complete() { [ -x "$folder/ray-operator" ] && [ -d "$folder/crds" ]; }

if complete; then echo "$folder"; exit 0; fi
command -v go >/dev/null || { echo "no KubeRay operator in the cache, and no Go to build one" >&2; exit 3; }

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if complete; then echo "$folder"; exit 0; fi
export GOFLAGS=-mod=mod GOTOOLCHAIN=local
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$build"
source=$(go mod download -json "$module@v$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
[ -n "$source" ] || { echo "the KubeRay operator's module cannot be fetched" >&2; exit 3; }
{ echo "module servers"; grep -m 1 '^go ' "$source/go.mod"; echo "require $module v$version"; } >go.mod
go build -p 2 -ldflags '-s -w' -o "$build/ray-operator" "$module" >&2
mkdir "$build/crds"
cp "$source"/config/crd/bases/*.yaml "$build/crds"
chmod -R u+w "$build/crds"
mv "$build/crds" "$folder/crds"
mv "$build/ray-operator" "$folder/ray-operator"
echo "$folder"
