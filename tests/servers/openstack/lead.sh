#!/bin/sh
# Becomes COMMAND after writing the process's id, and when it was born, to FILE: lead.sh FILE COMMAND... (`up.sh` calls it)
. "$(dirname "$0")/../owner.sh"
file=$1; shift
echo "$$ $(life_of $$)" >"$file.new"
mv "$file.new" "$file"
exec "$@"
