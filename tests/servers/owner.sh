# Sourced by the start scripts of this folder: waits for the end of the process that a server belongs to.
# A process that was killed stays in the table as a zombie until its parent asks for it, and kill -0 still finds it:
# its state and the time of its start tell whether it lives, and whether its number is another's by now.

# Prints when PROCESS started (field 22 of /proc/PROCESS/stat); nothing where it has ended, collected or not.
life_of() {
    read -r line 2>/dev/null <"/proc/$1/stat" || return 0
    # What stands before the last ")" is the number and the name, which may hold spaces.
    # shellcheck disable=SC2086 # words
    set -- ${line##*) }
    case $1 in Z | X) ;; *) echo "${20}" ;; esac
}

# Returns when OWNER has ended, or FOLDER is gone.
wait_for_end() {  # OWNER FOLDER
    born=$(life_of "$1")
    while [ -n "$born" ] && [ "$(life_of "$1")" = "$born" ] && [ -d "$2" ]; do sleep 0.5; done
}
